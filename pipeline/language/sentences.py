"""Sentences: says in another language what parts of synqup have said in English, as far as known.

An error is a sentence that is made where it is raised, and the ledger keeps it as it was made. The
catalog has such sentences as patterns: each placeholder stands for any text. What no pattern knows
is shown as it is: in English, but never left out.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

#: Characters of a sentence that is looked for; sentences whose translation is remembered.
MAX_LENGTH = 600
MAX_KNOWN = 500
#: How deep a sentence may consist of others.
MAX_DEPTH = 3
_PLACE = re.compile(r"\{(\w+)\}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+")


class Formats(Protocol):
    """How a language writes what fills a sentence."""

    def moment(self, at: float) -> str:
        """A time."""

    def number(self, value: float) -> str:
        """A number."""


class Sentences:
    """The sentences of one language. known: translations by their English patterns."""

    def __init__(self, known: Mapping[str, str], formats: Formats) -> None:
        self._whole = {id_: text for id_, text in known.items() if not _PLACE.search(id_)}
        patterned = [(id_, text) for id_, text in known.items() if _PLACE.search(id_)]
        # The more of a pattern is fixed, the earlier it is tried.
        patterned.sort(key=lambda one: -len(_PLACE.sub("", one[0])))
        self._patterns = [(_pattern(id_), text) for id_, text in patterned]
        self._formats = formats
        self._memory: OrderedDict[str, str] = OrderedDict()

    def translated(self, text: str) -> str:
        """A sentence without its full stop, in this language where it is known."""
        if not self._whole or len(text) > MAX_LENGTH:
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
        for pattern, translation in self._patterns:
            if (found := pattern.fullmatch(text)) is not None:
                values = {
                    name: self._value(value, depth - 1) for name, value in found.groupdict().items()
                }
                return _PLACE.sub(lambda place: values.get(place[1], place[0]), translation)  # noqa: B023 - used at once
        for separator in (". ", "; "):
            first, found_separator, rest = text.partition(separator)
            if found_separator and (said := self._translated(first, depth - 1)) is not None:
                return f"{said}{separator}{self._translated(rest, depth - 1) or rest}"
        return None

    def _value(self, value: str, depth: int) -> str:
        if _MOMENT.fullmatch(value):
            when = datetime.strptime(value, "%Y-%m-%d %H:%M")  # noqa: DTZ007 - of this machine
            return self._formats.moment(when.timestamp())
        if _NUMBER.fullmatch(value):
            return self._formats.number(int(value.replace(",", "")))
        return self._translated(value, depth) or value


def _pattern(id_: str) -> re.Pattern[str]:
    """What matches a pattern of the catalog; [^...] would be no bound, but sentences are short."""
    parts = _PLACE.split(id_)
    built = "".join(
        re.escape(part) if index % 2 == 0 else f"(?P<{part}>.+?)"
        for index, part in enumerate(parts)
    )
    return re.compile(built, re.DOTALL)
