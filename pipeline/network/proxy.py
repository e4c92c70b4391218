"""Proxy: the HTTP proxy by which an address is to be reached, as its section's settings say."""

from __future__ import annotations

from base64 import b64encode

from msgspec import Struct
from yarl import URL

from pipeline.config.secrets import read_secret
from pipeline.config.types import Secret
from pipeline.errors import SourceUnreachable
from pipeline.network.system_proxy import system_proxy
from pipeline.text import printable

SYSTEM = "system"
NONE = "none"

#: What is said of an address that is none.
NO_ADDRESS = 'is no address of a proxy; write it like "http://host:port"'


class ProxyRefused(SourceUnreachable):
    """A proxy refuses to connect, or the one that is set can't be used."""

    reason = "the proxy refuses the connection"

    def __init__(
        self, subject: str, reason: str = "", remedy: str = "", *, is_sign_in: bool = False
    ) -> None:
        """As SynqupError. is_sign_in: whether it refuses a user and a password."""
        self.is_sign_in = is_sign_in
        super().__init__(subject, reason, remedy)


class ProxySettings(Struct, frozen=True):
    """How the requests of one section of the configuration go out.

    proxy: "system", "none", or the address of a proxy. user, password: for the proxy, whichever
    of the two names it. section: the section that holds these settings, for messages.
    """

    proxy: str = SYSTEM
    user: str = ""
    password: Secret | None = None
    section: str = "[[sources]]"


class Proxy(Struct, frozen=True):
    """An HTTP proxy. url: without a user and a password; with https, the proxy itself speaks TLS.

    place: where its address is set. user: with which synqup signs in to it, "" without a sign-in.
    authorization: the header for that. credentials_place: where user and password are to be set.
    section: of the configuration, that holds the settings by which it was found.
    """

    url: URL
    place: str
    user: str
    authorization: str
    credentials_place: str
    section: str

    def __str__(self) -> str:
        return f"{self.url.host_subcomponent}:{self.url.port}"

    def __repr__(self) -> str:  # without the password
        return f"Proxy({self})"


def proxy_setting(text: str) -> str:
    """Check a `proxy` of the configuration. Raises ValueError, which never quotes it."""
    if text in (SYSTEM, NONE):
        return text
    if "://" not in text:
        raise ValueError('this is none of "system", "none" and an address like "http://host:port"')
    try:
        url = _parsed(text)
    except ValueError as error:
        raise ValueError(f"this {error}") from None
    if url.user is not None or url.password is not None:
        raise ValueError(
            "an address may not hold a user or a password; write proxy_user, and where the"
            " password is as proxy_password"
        )
    return text


def proxy_user(text: str) -> str:
    """Check a `proxy_user` of the configuration. Raises ValueError."""
    if ":" in text or printable(text) != text:
        raise ValueError("a user's name can't hold a colon or control characters")
    return text


def find_proxy(url: URL, settings: ProxySettings, subject: str) -> Proxy | None:
    """The proxy for an address; None if it is to be reached directly.

    It reads the secret, and may block. ProxyRefused if the system's proxy can't be used,
    SecretMissing if the secret can't be read.
    """
    address, place = settings.proxy, f"proxy in {settings.section}"
    if settings.proxy == NONE:
        return None
    if settings.proxy == SYSTEM:
        found = system_proxy(url)
        if found is None:
            return None
        address, place = found.address, found.place
    try:
        parsed = _parsed(address if "://" in address else f"http://{address}")
    except ValueError as error:
        raise ProxyRefused(
            subject,
            f"{place} {error}",
            "Correct it (a special sign in a user or a password is written as % and two digits), or"
            f' set proxy in {settings.section} to an address, or to "none"',
        ) from None
    own = f"proxy_user and proxy_password in {settings.section}"
    if settings.password is not None:
        user, password = settings.user, read_secret(settings.password)
    elif parsed.user or parsed.password:
        user, password = parsed.user or "", parsed.password or ""
        own = f"the user and the password in {place}"
    else:
        return Proxy(parsed, place, "", "", own, settings.section)
    return Proxy(parsed.with_user(None), place, user, _basic(user, password), own, settings.section)


def _parsed(address: str) -> URL:
    """Parse the address of a proxy. ValueError says what is wrong with it, and never quotes it."""
    try:
        url = URL(address)
        host, port = url.host, url.port
    except ValueError:
        raise ValueError(NO_ADDRESS) from None  # yarl quotes the whole address
    if url.scheme.startswith("socks"):
        raise ValueError("names a SOCKS proxy, which synqup does not speak; name an HTTP proxy")
    if url.scheme not in ("http", "https") or not host or not port:
        raise ValueError(NO_ADDRESS)
    if url.path not in ("", "/") or url.query_string or url.fragment:
        raise ValueError(f"{NO_ADDRESS}, without a path")
    return url


def _basic(user: str, password: str) -> str:
    """The header of Basic authentication (RFC 7617), in UTF-8."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
