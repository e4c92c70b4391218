"""Folder patterns: which folders of a server hold documents, of which company and of which kind.

A pattern is a path with variables in brackets, as the destinations of [delivery] have them:
"[company]/[year]/Invoices-IN-*". A level may hold * and ?; a level ** is any number of levels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from stages.sources.sftp.names import glob_source

#: What a variable stands for. The company is any name here: who it is, the companies tell.
VARIABLES = {
    "company": "(?P<company>.+?)",
    "year": "[0-9]{4}",
    "month": "(?:0?[1-9]|1[0-2])",
    "iban": "[A-Za-z]{2}[0-9]{2}[A-Za-z0-9 ]{8,36}",
}

_VARIABLE = re.compile(r"\[([^\[\]]*)\]")
ANY_DEPTH = "**"


class Spot(NamedTuple):
    """How far the path of a folder goes along a pattern.

    pattern, level: which one, and the level that is next. company: the text that stood for it.
    """

    pattern: int
    level: int
    company: str | None = None


class Pattern:
    """One pattern, level by level. Raises ValueError with what is wrong with it."""

    def __init__(self, text: str) -> None:
        levels = [level for level in text.strip().split("/") if level not in ("", ".")]
        if ".." in levels:
            raise ValueError('a folder can\'t lie above the root: remove ".."')
        if len(re.findall(r"\[company\]", text)) > 1:
            raise ValueError("[company] can stand in it once only")
        if levels.count(ANY_DEPTH) > 1:
            raise ValueError("** can stand in it once only")
        self.levels = [None if one == ANY_DEPTH else _level(one) for one in levels]
        #: The level whose name tells the company; None if none does.
        self.company_level = next(
            (n for n, level in enumerate(levels) if "[company]" in level), None
        )

    @cached_property
    def depth(self) -> int:
        """How many levels it has."""
        return len(self.levels)


class Patterns:
    """Several patterns, of which the first that a folder matches counts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._patterns = [Pattern(text) for text in texts]

    @property
    def names_companies(self) -> bool:
        """Whether the name of a folder tells the company in any of them."""
        return any(pattern.company_level is not None for pattern in self._patterns)

    def start(self) -> tuple[Spot, ...]:
        """The spots of the root."""
        return self._closed([Spot(number, 0) for number in range(len(self._patterns))])

    def into(self, spots: Sequence[Spot], name: str) -> tuple[Spot, ...]:
        """The spots of a folder that lies in another; none if nothing of it matters."""
        reached: list[Spot] = []
        for spot in spots:
            pattern = self._patterns[spot.pattern]
            if spot.level >= pattern.depth:
                continue
            level = pattern.levels[spot.level]
            if level is None:
                reached.append(spot)
            elif (match := level.fullmatch(name)) is not None:
                company = match["company"] if "company" in level.groupindex else spot.company
                reached.append(Spot(spot.pattern, spot.level + 1, company))
        return self._closed(reached)

    def holding(self, spots: Sequence[Spot]) -> Spot | None:
        """The spot by which the files of a folder are documents; None if they are not."""
        ends = [one for one in spots if one.level >= self._patterns[one.pattern].depth]
        return min(ends, default=None, key=lambda one: one.pattern)

    def tells_company(self, spot: Spot) -> bool:
        """Whether the company of what lies there is told by the path."""
        return self._patterns[spot.pattern].company_level is not None

    def _closed(self, spots: Sequence[Spot]) -> tuple[Spot, ...]:
        """The spots, and those beyond a level ** that no folder need stand for."""
        found: dict[Spot, None] = {}
        for spot in spots:
            found[spot] = None
            levels = self._patterns[spot.pattern].levels
            if spot.level < len(levels) and levels[spot.level] is None:
                found[spot._replace(level=spot.level + 1)] = None
        return tuple(found)


def folder_pattern(text: str) -> str:
    """Validate a pattern of the configuration. Raises ValueError."""
    Pattern(text)
    return text


def _level(text: str) -> re.Pattern[str]:
    source, at = "", 0
    for match in _VARIABLE.finditer(text):
        if match[1] not in VARIABLES:
            known = ", ".join(f"[{name}]" for name in VARIABLES)
            raise ValueError(f"there is no [{match[1]}]; known are {known}")
        source += glob_source(text[at : match.start()]) + VARIABLES[match[1]]
        at = match.end()
    rest = text[at:]
    if "[" in rest or "]" in rest:
        raise ValueError("a bracket is not closed; write a variable like [company]")
    return re.compile(source + glob_source(rest), re.IGNORECASE | re.DOTALL)
