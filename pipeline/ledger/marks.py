"""Marks: what tells documents of one identity apart, as names with values.

Two documents of one identity are the same unless each of them has a value of a name that the other
one lacks. So a name with one value says "this has to be equal", a name with several "some of these
may be missing, and none may be replaced", and a name that one of the two lacks says nothing.

Each value of a name takes six bytes, three of a checksum of either, and eight characters in base64:
marks of parts are joined to marks of the whole. A row of the ledger that has more than a quarter of
a page would take a page of its own.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Mapping
from functools import lru_cache
from zlib import crc32

#: Bytes of a name, and of a value.
_BYTES = 3


def marks(values: Iterable[tuple[str, str]]) -> str:
    """Return marks, for the ledger: pairs of a name and one value of it."""
    words = [_name(name) + _checksum(value) for name, value in values]
    return b2a_base64(b"".join(words), newline=False).decode()


def contradict(one: str, other: str) -> bool:
    """Whether marks say that two documents of one identity are not the same."""
    if one == other:
        return False
    values = _values(one)
    return any(
        not (values.get(name, found) <= found or values[name] >= found)
        for name, found in _values(other).items()
    )


def _values(text: str) -> Mapping[bytes, set[bytes]]:
    words = a2b_base64(text)
    found: dict[bytes, set[bytes]] = {}
    for at in range(0, len(words), 2 * _BYTES):
        middle = at + _BYTES
        found.setdefault(words[at:middle], set()).add(words[middle : middle + _BYTES])
    return found


@lru_cache(1024)
def _name(name: str) -> bytes:
    return _checksum(name)


def _checksum(text: str) -> bytes:
    return crc32(text.encode()).to_bytes(4)[-_BYTES:]
