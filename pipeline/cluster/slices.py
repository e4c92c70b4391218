"""Slices: divides the companies of a source into parts that stay what they are when others come.

It is a trie over the hashes of their identifiers: a part that has grown beyond the bound becomes
two, and no other part changes. So each node finds the same parts out of the same configuration, and
two that differ by a company differ by one part at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

#: Companies of one part, at most.
MOST = 50
#: Bits of a hash that may be looked at.
_DEPTH = 64

#: The part of a source whose companies are not told apart.
ALL = "all"


def slices(identifiers: Iterable[str], most: int = MOST) -> Mapping[str, frozenset[str]]:
    """The parts of these companies, by their names: the bits that their hashes begin with.

    The name of the only part is "all". No part is empty, but the only one.
    """
    found: dict[str, frozenset[str]] = {}
    _divide("", {one: _bits(one) for one in identifiers}, most, found)
    return found or {ALL: frozenset()}


def _divide(
    prefix: str, hashes: Mapping[str, str], most: int, found: dict[str, frozenset[str]]
) -> None:
    if len(hashes) <= most or len(prefix) >= _DEPTH:
        if hashes:
            found[prefix or ALL] = frozenset(hashes)
        return
    for bit in "01":
        longer = prefix + bit
        part = {one: bits for one, bits in hashes.items() if bits.startswith(longer)}
        _divide(longer, part, most, found)


def within(slice_: str, identifiers: Collection[str]) -> frozenset[str]:
    """The companies of a part among these, whatever the other parts are."""
    if slice_ == ALL:
        return frozenset(identifiers)
    return frozenset(one for one in identifiers if _bits(one).startswith(slice_))


def _bits(identifier: str) -> str:
    digest = hashlib.sha256(identifier.encode()).digest()
    return f"{int.from_bytes(digest[:8]):064b}"
