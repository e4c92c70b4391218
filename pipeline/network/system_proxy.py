"""System proxy: the proxy that the operating system names for an address.

That is the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in small letters too,
which go first), and where it names none the settings of Windows or macOS. Neither knows of proxies
that a script chooses (PAC), nor of those of WinHTTP.
"""

from __future__ import annotations

import ipaddress
import os
import urllib.request
from collections.abc import Callable, Mapping

from msgspec import Struct
from yarl import URL

from pipeline.network.no_proxy import bypasses_proxy

#: What reads the settings of the system, and tells the hosts that they except; as urllib names it.
_STORES = (
    ("getproxies_registry", "proxy_bypass_registry"),
    ("getproxies_macosx_sysconf", "proxy_bypass_macosx_sysconf"),
)


class SystemProxy(Struct, frozen=True):
    """A proxy as the system writes it; it may hold a user and a password.

    place: where it stands, as the middle of a sentence.
    """

    address: str
    place: str


def system_proxy(url: URL) -> SystemProxy | None:
    """The proxy for an address; None if it is to be reached directly. It may block.

    As with curl, the environment concerns addresses of this machine too: NO_PROXY excepts them.
    As with browsers, the settings of Windows and macOS do not.
    """
    environment = urllib.request.getproxies_environment()
    if bypasses_proxy(environment.get("no", ""), url):
        return None
    for key in (url.scheme, "all"):
        if address := environment.get(key):
            return SystemProxy(address, f"the environment variable {_variable(key)}")
    return None if _is_this_machine(url) else _stored(url)


def _variable(key: str) -> str:
    """The name of the variable that counts, as it is written."""
    small = f"{key}_proxy"
    names = [name for name in os.environ if name.lower() == small]
    return small if small in names else names[0]


def _stored(url: URL) -> SystemProxy | None:
    """What the settings of Windows or macOS say; None on other systems."""
    for get, bypass in _STORES:
        read: Callable[[], Mapping[str, str]] | None = getattr(urllib.request, get, None)
        if read is None:
            continue
        proxies = read()
        address = proxies.get(url.scheme) or proxies.get("all")
        if not address or getattr(urllib.request, bypass)(url.host or ""):
            return None
        return SystemProxy(address, "the proxy settings of the system")
    return None


def _is_this_machine(url: URL) -> bool:
    try:
        return ipaddress.ip_address(url.host or "").is_loopback
    except ValueError:
        return url.host == "localhost"
