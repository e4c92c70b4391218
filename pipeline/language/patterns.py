"""Sentence patterns: fixed texts with places between them, found by how they begin or end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from heapq import merge

from msgspec import Struct

#: A place in a pattern.
PLACE = re.compile(r"\{(\w+)\}")
#: Characters at the beginning or the end of a pattern by which it is found.
INDEXED = 3
#: Fixed characters of a pattern that anybody might say: it has to be sure of what fills it.
GENERIC = 10
#: How the names of places begin whose text is quoted.
QUOTED = "q_"


class Pattern(Struct, frozen=True):
    """A sentence with places. parts: its fixed texts; names: of the places between them."""

    parts: tuple[str, ...]
    names: tuple[str, ...]
    translation: str

    @property
    def fixed(self) -> int:
        """How many of its characters are fixed, but for spaces around its places."""
        return sum(len(part.strip()) for part in self.parts)

    @property
    def is_generic(self) -> bool:
        """Whether others might have said what fits it."""
        return self.fixed <= GENERIC

    def filled(self, values: Mapping[str, str]) -> str:
        """Its translation with these values."""
        return PLACE.sub(lambda place: values[place[1]], self.translation)

    def values(self, text: str) -> dict[str, str] | None:
        """What fills the places in a text; None if it is another one.

        Each place takes as little as it can, and one character at least. Where one fixed text after
        the other is found from the left, no other choice could do better: so this takes no longer
        than a search for each.
        """
        first, *others = self.parts
        if not text.startswith(first) or not text.endswith(self.parts[-1]):
            return None
        found: dict[str, str] = {}
        start, end = len(first), len(text) - len(self.parts[-1])
        for name, part in zip(self.names[:-1], others[:-1], strict=True):
            at = text.find(part, start + 1, end)
            if at < 0:
                return None
            found[name], start = text[start:at], at + len(part)
        if start >= end:
            return None
        found[self.names[-1]] = text[start:end]
        return found


Ranked = tuple[int, Pattern]


class Patterns:
    """The patterns of one language. known: translations by their English patterns."""

    def __init__(self, known: Mapping[str, str]) -> None:
        patterns = [pattern(id_, text) for id_, text in known.items() if PLACE.search(id_)]
        # The more of a pattern is fixed, the earlier it is tried.
        patterns.sort(key=lambda one: -one.fixed)
        #: The patterns and their ranks by how they begin; else by how they end; and all others.
        self._beginning: dict[str, list[Ranked]] = {}
        self._ending: dict[str, list[Ranked]] = {}
        self._others: list[Ranked] = []
        for ranked in enumerate(patterns):
            first, last = ranked[1].parts[0], ranked[1].parts[-1]
            if len(first) >= INDEXED:
                self._beginning.setdefault(first[:INDEXED], []).append(ranked)
            elif len(last) >= INDEXED:
                self._ending.setdefault(last[-INDEXED:], []).append(ranked)
            else:
                self._others.append(ranked)

    def candidates(self, text: str) -> Iterable[Pattern]:
        """Those that may fit a text, in their order."""
        beginning = self._beginning.get(text[:INDEXED], [])
        ending = self._ending.get(text[-INDEXED:], [])
        return (one for _, one in merge(beginning, ending, self._others, key=_rank))


def _rank(ranked: Ranked) -> int:
    return ranked[0]


def pattern(id_: str, translation: str) -> Pattern:
    """A pattern of the catalog. Between two of its places there has to be a fixed text."""
    parts = PLACE.split(id_)
    return Pattern(tuple(parts[::2]), tuple(parts[1::2]), translation)
