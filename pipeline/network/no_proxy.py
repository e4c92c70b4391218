"""NO_PROXY: tells which addresses are reached without the proxy that the environment names.

It is a list that commas or blanks separate, read as curl reads it: `example.com` and
`.example.com` stand for that host and all below it, `host:8443` for one port, `10.0.0.0/8` and
`fd00::/8` for a network, `*` for everything. Besides, a `*` within a name stands for any text.
Names are not resolved: a network is for addresses that are written as numbers.
"""

from __future__ import annotations

import ipaddress
import re
from fnmatch import fnmatchcase

from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: An address of IPv6 in brackets, or what holds at most one colon, with a port.
_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):([0-9]+)")


def bypasses_proxy(no_proxy: str, url: URL) -> bool:
    """Whether an address is to be reached directly, by this value of NO_PROXY."""
    names = {_bare(name) for name in (url.host, url.raw_host) if name}
    address = _address(url.host or "")
    return any(
        _covers(entry.lower(), names, address, url.port) for entry in re.split(r"[,\s]+", no_proxy)
    )


def _covers(entry: str, names: set[str], address: Address | None, port: int | None) -> bool:
    if match := _WITH_PORT.fullmatch(entry):
        if int(match[2]) != port:
            return False
        entry = match[1]
    entry = _bare(entry.strip("[]")).lstrip(".")
    if not entry:
        return False
    if entry == "*":
        return True
    if address is not None:
        return _is_within(address, entry) or _is_pattern_of(entry, {str(address)})
    below = any(name.endswith(f".{entry}") for name in names)
    return below or entry in names or _is_pattern_of(entry, names)


def _is_within(address: Address, entry: str) -> bool:
    """Whether an entry is this address, or a network that holds it."""
    # Brackets may stand around the address alone: [fd00::]/8.
    try:
        return address in ipaddress.ip_network(re.sub(r"[\[\]]", "", entry), strict=False)
    except ValueError:
        return False


def _is_pattern_of(entry: str, names: set[str]) -> bool:
    return "*" in entry and any(fnmatchcase(name, entry) for name in names)


def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _bare(name: str) -> str:
    """A name in small letters, without the dot that ends a full one."""
    return name.lower().removesuffix(".")
