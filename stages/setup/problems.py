"""Import problems: what is wrong with a row of a table, in words of the catalogue of texts."""

from __future__ import annotations

from msgspec import Struct

from pipeline.errors import ConfigurationError


class Trouble(Exception):
    """What is wrong with a value. text: its key below [problem] in the catalogue."""

    def __init__(self, text: str, **values: str) -> None:
        self.text = text
        self.values = values
        super().__init__(text)


class ListRefused(ConfigurationError):
    """A list of companies that can't be used, with all of its problems."""

    reason = "the list can't be used"


class Problem(Struct, frozen=True):
    """What is wrong with a row. line: of the file, 0 where there is none."""

    line: int
    text: str
    values: dict[str, str] = {}


def problem_of(line: int, trouble: Trouble) -> Problem:
    """The problem of the row of a line."""
    return Problem(line, trouble.text, trouble.values)
