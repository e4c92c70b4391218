"""Authentication: the headers by which a request says who sends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from stages.sources.http.token import TokenCache

BEARER = "Bearer "
#: Why a sign-in by a key is given up.
KEY_REFUSED = "the platform refuses its key"


class Auth(Protocol):
    """What an account authenticates its requests with.

    renewable: whether headers that are refused (401) may be replaced by new ones. refusal: why a
    sign-in is given up, as an error says it.
    """

    renewable: bool
    refusal: str
    #: What to do about a refusal; "" for what SignInRefused says.
    remedy: str = ""

    async def headers(self) -> Mapping[str, str]:
        """The headers for a request. SignInRefused, SourceUnavailable or RetryableError."""

    def accept(self, headers: Mapping[str, str], /) -> None:
        """Note that a server has accepted these headers."""

    def reject(self, headers: Mapping[str, str], /) -> bool:
        """Note that a server answered 401 to these; whether it has never accepted them."""


class BearerAuth(Auth):
    """A bearer token (RFC 6750, 2.1) that is renewed. more: further headers of every request."""

    renewable = True
    refusal = "the platform refuses a new token"

    def __init__(self, token: TokenCache, more: Mapping[str, str] | None = None) -> None:
        self._token = token
        self._more = dict(more or {})

    async def headers(self) -> Mapping[str, str]:
        """The header of a token that has not expired."""
        return {"Authorization": BEARER + await self._token.get(), **self._more}

    def accept(self, headers: Mapping[str, str], /) -> None:
        """Note that the token has been accepted."""
        self._token.accept(headers["Authorization"].removeprefix(BEARER))

    def reject(self, headers: Mapping[str, str], /) -> bool:
        """Note that the token was refused, so that the next headers bear another one."""
        return self._token.reject(headers["Authorization"].removeprefix(BEARER))


class StaticAuth(Auth):
    """Headers that stay the same, such as an API key, or a user and a password.

    read: reads the secrets and makes the headers; called when they are first needed, and again
    after they were refused, as the user may have put a new key in place.
    """

    renewable = False

    def __init__(
        self,
        read: Callable[[], Awaitable[Mapping[str, str]]],
        refusal: str = KEY_REFUSED,
        remedy: str = "",
    ) -> None:
        self.refusal = refusal
        self.remedy = remedy
        self._read = read
        self._headers: Mapping[str, str] | None = None

    async def headers(self) -> Mapping[str, str]:
        """The headers. SignInRefused if the secrets can't be read."""
        if self._headers is None:
            self._headers = await self._read()
        return self._headers

    def accept(self, headers: Mapping[str, str], /) -> None:
        """Nothing has to be noted."""

    def reject(self, headers: Mapping[str, str], /) -> bool:
        """Have the secrets read anew before the next request."""
        if headers is self._headers:
            self._headers = None
        return True
