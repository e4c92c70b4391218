"""Request guard: refuses requests for another host, from another site's pages, or without a token.

A page of any site can have its visitor's browser send requests to this machine, under a name that
resolves to it (DNS rebinding). Such a request names that host (RFC 9110, 7.2), or the site as its
origin (RFC 6454, 7).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from multidict import CIMultiDictProxy

from pipeline.config.monitor import LOCALHOST, MonitorSettings, is_loopback
from pipeline.config.secrets import SecretMissing, read_secret
from pipeline.config.types import Secret

#: Seconds after which the token is read again, so that a rotated one is used soon.
REREAD = 10.0
#: Seconds that this may take, at most; until then the one before is good.
PATIENCE = 2.0

#: Signs that no host holds, and that no other part of an address may bring into it.
_NO_HOST = frozenset("@ \t\r\n")

Headers = CIMultiDictProxy[str]


class Guard:
    """Decides on requests by their headers."""

    def __init__(self, settings: MonitorSettings) -> None:
        address = settings.address
        assert address is not None
        self._only_loopback = address.is_loopback
        self._names = {
            LOCALHOST,
            address.host,
            socket.gethostname().lower(),
            *settings.allowed_hosts,
        }
        self.token = Token(settings.token) if settings.token is not None else None
        own = settings.operator_token
        #: With what people sign in to act; no request bears it.
        self.operator_token = Token(own) if own is not None else None

    async def open(self) -> None:
        """Read the tokens. Raises SecretMissing."""
        for token in (self.token, self.operator_token):
            if token is not None:
                await token.read()

    async def refusal(self, headers: Headers) -> tuple[int, str] | None:
        """The status and the sentence with which a request is refused; None if it is not."""
        if (refusal := self.foreign(headers)) is not None:
            return refusal
        if self.token is not None and not await self.token.is_in(headers):
            return 401, "A bearer token is needed; see token in [monitor]"
        return None

    def foreign(self, headers: Headers) -> tuple[int, str] | None:
        """A refusal by where a request goes to, and comes from; None where it may be signed in."""
        hosts = headers.getall("Host", [])
        host = host_of(hosts[0]) if len(hosts) == 1 else None
        if host is None or not self._is_ours(host):
            return 421, "This is not the host that was asked for; see allowed_hosts in [monitor]"
        if any(not same_origin(one, hosts[0]) for one in headers.getall("Origin", [])):
            return 403, "Pages of other sites may not ask"
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a host can only mean this machine: no name server resolves an address."""
        if host in self._names:
            return True
        return is_loopback(host) if self._only_loopback else _is_address(host)


class Token:
    """The token that requests have to bear (RFC 6750, 2.1), read from its place again and again."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._digest = b""
        self._read_at = 0.0
        #: Of its own: a place that hangs may hold one thread, and none of those that others need.
        self._threads = anyio.CapacityLimiter(1)

    async def read(self) -> None:
        """Read it. Raises SecretMissing, after which no token is good."""
        self._read_at = time.monotonic()
        try:
            value = await anyio.to_thread.run_sync(
                read_secret, self._secret, abandon_on_cancel=True, limiter=self._threads
            )
        except SecretMissing:
            self._digest = b""
            raise
        self._digest = _digest(value.strip())

    async def is_in(self, headers: Headers) -> bool:
        """Whether the headers bear the token; the time that this takes does not tell how nearly."""
        given = headers.getall("Authorization", [])
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        is_same = await self.is_it(token.strip())
        return scheme.lower() == "bearer" and is_same

    async def is_it(self, text: str) -> bool:
        """Whether a text is the token; the time that this takes does not tell how nearly."""
        return hmac.compare_digest(_digest(text), await self.key())

    async def key(self) -> bytes:
        """The digest of the token as it is now; empty if it can't be read."""
        if time.monotonic() - self._read_at > REREAD:
            with suppress(SecretMissing), anyio.move_on_after(PATIENCE):
                await self.read()
        return self._digest


def host_of(header: str) -> str | None:
    """The host of a Host header, in lower case and without its port; None if it is none."""
    try:
        parts = urlsplit(f"//{header}")
        if parts.netloc != header or set(header) & _NO_HOST or not parts.hostname:
            return None
        _ = parts.port  # raises ValueError
    except ValueError:
        return None
    try:
        return str(ipaddress.ip_address(parts.hostname))
    except ValueError:
        return parts.hostname.lower().rstrip(".") or None


def same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names the very host of the Host header."""
    scheme, separator, authority = origin.strip().partition("://")
    return bool(separator) and scheme in ("http", "https") and authority.lower() == host.lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
