"""The access token of a source: renewed in time and on 401, by one task for all."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

from pipeline.errors import SynqupError


class Credential(Struct, frozen=True):
    """An access token, and for how many seconds it is good from now on."""

    value: str
    life: float


#: Signs in and gets a credential.
Grant = Callable[[], Awaitable[Credential]]


class Token:
    """The one access token of a source."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant
        self._value = ""
        self._proven = False
        self._stale_at = 0.0
        self._renewing = anyio.Lock()
        self._tries = 0
        self._failure: SynqupError | None = None

    async def get(self) -> str:
        """A token with life left in it. SignInRefused, SourceUnavailable or RetryableError."""
        if time.monotonic() >= self._stale_at:
            tries = self._tries
            async with self._renewing:
                # Whoever held the lock before us has tried it for all who waited.
                if tries == self._tries:
                    await self._try()
                if self._failure is not None:
                    raise self._failure
        return self._value

    def accept(self, value: str) -> None:
        """A server has taken this token: it is good, until it expires."""
        if value == self._value:
            self._proven = True

    def reject(self, value: str) -> bool:
        """A server answered 401 to this token: get() fetches another, if it still is the one.

        Whether that was a new one, which no server has ever taken.
        """
        if value != self._value:
            return False
        self._stale_at = 0.0
        return not self._proven

    async def _try(self) -> None:
        try:
            granted = await self._grant()
            self._value, self._proven = granted.value, False
            self._stale_at = time.monotonic() + granted.life
            self._failure = None
        except SynqupError as error:
            self._failure = error
        self._tries += 1
