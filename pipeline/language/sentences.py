"""Sentences: says in another language what parts of synqup have said in English, as far as known.

An error is a sentence that is made where it is raised, and the ledger keeps it as it was made. The
catalog has such sentences as patterns: each placeholder stands for any text, which may be a
sentence itself. One whose name begins with `q_` stands for what is quoted, such as a name or an
answer of a platform: that stays as it is. What no pattern knows is shown as it is: in English, but
never left out.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from heapq import merge
from typing import Protocol

from msgspec import Struct

from pipeline.text import LONGEST

#: Sentences whose translation is remembered.
MAX_KNOWN = 500
#: Characters at the beginning or the end of a pattern by which it is found.
INDEXED = 3
#: How the names of places begin whose text is quoted.
QUOTED = "q_"
#: How deep a sentence may consist of others.
MAX_DEPTH = 5
#: At how many places it is taken apart at once; the rest is taken apart in turn.
MAX_PARTS = 4
#: Of how many others it may consist that are all known.
MAX_ITEMS = 20
_PLACE = re.compile(r"\{(\w+)\}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+")
_SIZE = re.compile(r"([\d,]+(?:\.\d+)?) (bytes|[kMGT]B)")


class Formats(Protocol):
    """How a language writes what fills a sentence. semicolon: with the spaces around it."""

    semicolon: str

    def when(self, at: datetime) -> str:
        """A time of this machine."""

    def number(self, value: float) -> str:
        """A number."""

    def size(self, value: float, unit: str) -> str:
        """A number of "bytes", "kB", "MB", "GB" or "TB"."""


class Pattern(Struct, frozen=True):
    """A sentence with places. parts: its fixed texts; names: of the places between them."""

    parts: tuple[str, ...]
    names: tuple[str, ...]
    translation: str

    @property
    def fixed(self) -> int:
        """How many of its characters are fixed."""
        return sum(map(len, self.parts))

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


Ranked = list[tuple[int, Pattern]]


class Sentences:
    """The sentences of one language. known: translations by their English patterns."""

    def __init__(self, known: Mapping[str, str], formats: Formats) -> None:
        self._whole = {id_: text for id_, text in known.items() if not _PLACE.search(id_)}
        patterns = [pattern(id_, text) for id_, text in known.items() if _PLACE.search(id_)]
        # The more of a pattern is fixed, the earlier it is tried.
        patterns.sort(key=lambda one: -one.fixed)
        #: The patterns and their ranks by how they begin; else by how they end; and all others.
        self._beginning: dict[str, Ranked] = {}
        self._ending: dict[str, Ranked] = {}
        self._others: Ranked = []
        for ranked in enumerate(patterns):
            first, last = ranked[1].parts[0], ranked[1].parts[-1]
            if len(first) >= INDEXED:
                self._beginning.setdefault(first[:INDEXED], []).append(ranked)
            elif len(last) >= INDEXED:
                self._ending.setdefault(last[-INDEXED:], []).append(ranked)
            else:
                self._others.append(ranked)
        self._formats = formats
        self._memory: OrderedDict[str, str] = OrderedDict()

    def translated(self, text: str) -> str:
        """A sentence without its full stop, in this language where it is known."""
        if not self._whole or len(text) > LONGEST:
            return text
        found = self._memory.get(text)
        if found is None:
            found = self._memory[text] = self._translated(text, MAX_DEPTH) or text
            if len(self._memory) > MAX_KNOWN:
                self._memory.popitem(last=False)
        return found

    def _translated(self, text: str, depth: int) -> str | None:
        if (whole := self._whole.get(text)) is not None:
            return whole
        if not depth:
            return None
        if (all_known := self._parts(text, depth, most=MAX_ITEMS, all_known=True)) is not None:
            return all_known
        for _, one in self._candidates(text):
            if (found := one.values(text)) is not None:
                values = {
                    name: value if name.startswith(QUOTED) else self._value(value, depth - 1)
                    for name, value in found.items()
                }
                return _PLACE.sub(lambda place: values[place[1]], one.translation)  # noqa: B023 - used at once
        return self._parts(text, depth, most=MAX_PARTS, all_known=False)

    def _candidates(self, text: str) -> Iterable[tuple[int, Pattern]]:
        """The patterns that may fit a text, in their order."""
        beginning = self._beginning.get(text[:INDEXED], [])
        return merge(beginning, self._ending.get(text[-INDEXED:], []), self._others, key=_rank)

    def _parts(self, text: str, depth: int, *, most: int, all_known: bool) -> str | None:
        """Sentences one after the other, if all of them are known, or any.

        most: at how many places the text is taken apart.
        """
        for separator, said in ((". ", ". "), ("; ", self._formats.semicolon)):
            parts = text.split(separator, most)
            if len(parts) == 1:
                continue
            found: list[str | None] = []
            for one in parts:
                found.append(self._translated(one, depth - 1))
                if all_known and found[-1] is None:
                    break
            else:
                if any(found):
                    return said.join(one or part for one, part in zip(found, parts, strict=True))
        return None

    def _value(self, value: str, depth: int) -> str:
        if _MOMENT.fullmatch(value):
            try:
                return self._formats.when(datetime.strptime(value, "%Y-%m-%d %H:%M"))  # noqa: DTZ007 - of this machine
            except ValueError:
                return value
        if _NUMBER.fullmatch(value):
            return self._formats.number(int(value.replace(",", "")))
        if (size := _SIZE.fullmatch(value)) is not None:
            return self._formats.size(float(size[1].replace(",", "")), size[2])
        return self._translated(value, depth) or value


def _rank(ranked: tuple[int, Pattern]) -> int:
    return ranked[0]


def pattern(id_: str, translation: str) -> Pattern:
    """A pattern of the catalog. Between two of its places there has to be a fixed text."""
    parts = _PLACE.split(id_)
    return Pattern(tuple(parts[::2]), tuple(parts[1::2]), translation)
