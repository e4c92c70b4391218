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
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from pipeline.language.patterns import PLACE, QUOTED, Pattern, Patterns
from pipeline.text import LONGEST

#: Sentences whose translation is remembered.
MAX_KNOWN = 500
#: How deep a sentence may consist of others.
MAX_DEPTH = 5
#: At how many places it is taken apart at once; the rest is taken apart in turn.
MAX_PARTS = 4
#: Of how many others it may consist that are all known.
MAX_ITEMS = 20
#: How many sentences are looked for within one, at most.
MAX_WORK = 300
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d+")
_PARENTHESIS = re.compile("[()]")
_SIZE = re.compile(r"([\d,]+(?:\.\d+)?) (bytes|[kMGT]B)")


class Formats(Protocol):
    """How a language writes what fills a sentence.

    semicolon, colon: with the spaces around them.
    """

    semicolon: str
    colon: str

    def when(self, at: datetime) -> str:
        """A time of this machine."""

    def number(self, value: float) -> str:
        """A number."""

    def size(self, value: float, unit: str) -> str:
        """A number of "bytes", "kB", "MB", "GB" or "TB"."""


class Sentences:
    """The sentences of one language. known: translations by their English patterns."""

    def __init__(self, known: Mapping[str, str], formats: Formats) -> None:
        self._whole = {id_: text for id_, text in known.items() if not PLACE.search(id_)}
        self._patterns = Patterns(known)
        self._formats = formats
        self._memory: OrderedDict[str, str] = OrderedDict()

    def translated(self, text: str) -> str:
        """A sentence without its full stop, in this language where it is known."""
        if not self._whole or len(text) > LONGEST:
            return text
        found = self._memory.get(text)
        if found is None:
            found = self._memory[text] = _Search(self._whole, self._patterns, self._formats).said(
                text
            )
            if len(self._memory) > MAX_KNOWN:
                self._memory.popitem(last=False)
        return found


class _Search:
    """The search for what one sentence is; it is bounded, whatever the sentence holds."""

    def __init__(self, whole: Mapping[str, str], patterns: Patterns, formats: Formats) -> None:
        self._whole = whole
        self._patterns = patterns
        self._formats = formats
        self._left = MAX_WORK

    def said(self, text: str) -> str:
        return self._translated(text, MAX_DEPTH) or text

    def _translated(self, text: str, depth: int) -> str | None:
        """A sentence in the language; None if nothing of it is known."""
        if (whole := self._whole.get(text)) is not None:
            return whole
        if not depth or self._left <= 0:
            return None
        self._left -= 1
        if text.endswith("."):
            stopped = self._translated(text[:-1], depth)
            return f"{stopped}." if stopped is not None else None
        return (
            self._parts(text, depth, most=MAX_ITEMS, all_known=True)
            or self._by_pattern(text, depth)
            or self._parts(text, depth, most=MAX_PARTS, all_known=False)
            or self._joined(text, depth)
        )

    def _by_pattern(self, text: str, depth: int) -> str | None:
        second: str | None = None
        for one in self._patterns.candidates(text):
            if (found := one.values(text)) is None:
                continue
            if (said := self._filled(one, found, depth)) is None:
                continue
            # Where parentheses are torn apart, another pattern may fit better.
            if all(map(_is_balanced, found.values())):
                return said
            second = second or said
        return second

    def _filled(self, one: Pattern, found: Mapping[str, str], depth: int) -> str | None:
        """A pattern with what fills it; None if others may have said it."""
        values: dict[str, str] = {}
        is_sure = not one.is_generic
        for name, value in found.items():
            if name.startswith(QUOTED):
                values[name] = value
                is_sure = is_sure or " " not in value.replace(", ", "")
            else:
                said = self._value(value, depth - 1)
                values[name] = value if said is None else said
                is_sure = is_sure or said is not None
        return one.filled(values) if is_sure else None

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

    def _joined(self, text: str, depth: int) -> str | None:
        """A sentence with something in parentheses behind it, or with its subject before it."""
        head, opened, tail = text.removesuffix(")").partition(" (")
        if opened and text.endswith(")") and (said := self._translated(head, depth - 1)):
            return f"{said} ({self._value(tail, depth - 1) or tail})"
        head, colon, tail = text.partition(": ")
        if colon and (said := self._translated(tail, depth - 1)):
            return f"{self._value(head, depth - 1) or head}{self._formats.colon}{said}"
        return None

    def _value(self, value: str, depth: int) -> str | None:
        """What fills a place; None if it is not known."""
        if _MOMENT.fullmatch(value):
            try:
                return self._formats.when(datetime.strptime(value, "%Y-%m-%d %H:%M"))  # noqa: DTZ007 - of this machine
            except ValueError:
                return None
        if _NUMBER.fullmatch(value) and value.isascii():
            return self._formats.number(int(value.replace(",", ""))) if "," in value else value
        if (size := _SIZE.fullmatch(value)) is not None and value.isascii():
            return self._formats.size(float(size[1].replace(",", "")), size[2])
        return self._translated(value, depth)


def _is_balanced(text: str) -> bool:
    """Whether each parenthesis in a text has its other half."""
    opened = 0
    for one in _PARENTHESIS.findall(text):
        opened += 1 if one == "(" else -1
        if opened < 0:
            return False
    return not opened
