"""Access token cache: one token for all requests of a source, renewed in time and on 401."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

from pipeline.errors import SynqupError


class AccessToken(Struct, frozen=True):
    """An access token. lifetime: seconds for which it may be used from now on.

    is_shared: whether others may have used it before, so that a refusal says nothing of the grant.
    """

    value: str
    lifetime: float
    is_shared: bool = False


#: Signs in and returns a new token.
FetchToken = Callable[[], Awaitable[AccessToken]]


class TokenCache:
    """The current access token of a source. One task renews it while the others wait."""

    def __init__(self, grant: FetchToken) -> None:
        self._grant = grant
        self._value = ""
        self._proven = False
        self._stale_at = 0.0
        self._renewing = anyio.Lock()
        self._tries = 0
        self._failure: SynqupError | None = None

    async def get(self) -> str:
        """A token that has not expired. SignInRefused, SourceUnavailable or RetryableError."""
        if time.monotonic() >= self._stale_at:
            tries = self._tries
            async with self._renewing:
                # The task that held the lock before has tried it for all that waited.
                if tries == self._tries:
                    await self._try()
                if self._failure is not None:
                    raise self._failure
        return self._value

    def accept(self, value: str) -> None:
        """Note that a server has accepted this token."""
        if value == self._value:
            self._proven = True

    def reject(self, value: str) -> bool:
        """Note that a server answered 401 to this token; get() fetches another one then.

        Returns whether it was a new one, which no server has ever accepted.
        """
        if value != self._value:
            return False
        self._stale_at = 0.0
        return not self._proven

    async def _try(self) -> None:
        try:
            granted = await self._grant()
            self._value, self._proven = granted.value, granted.is_shared
            self._stale_at = time.monotonic() + granted.lifetime
            self._failure = None
        except SynqupError as error:
            self._failure = error
        self._tries += 1
