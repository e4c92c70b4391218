"""List editor: adds, changes and removes rows of [[companies]] in a TOML text; all else stays.

Comments, order, spacing and ends of lines are kept. What an edit has made is read again and has to
be what was meant: else it is refused, and nothing is written.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import tomlkit
from tomlkit.items import AoT, Array

from stages.setup.companies import NewCompany
from stages.setup.document import companies_text, toml_value

KEY = "companies"

_HEADER = re.compile(r"\s*\[")
_ROW = re.compile(r"""\s*\[\[\s*(?:companies|"companies"|'companies')\s*\]\]""")
_COMMENT = re.compile(r"\s*#")
_TRIVIA = re.compile(r"\s*(?:#|$)")


def add_companies(text: str, companies: Sequence[NewCompany]) -> str:
    """Add companies at the end. ValueError if the text is written so that this can't be done."""
    rows = _rows(text)
    wanted = [*rows, *(one.keys for one in companies)]
    if rows and not any(map(_ROW.match, text.splitlines())):
        document = tomlkit.parse(text)
        array = document[KEY]
        assert isinstance(array, Array)
        for one in companies:
            array.append(toml_value(one.keys))
        return _proved(text, tomlkit.dumps(document), wanted)
    end = _end_of_line(text)
    before = text if not text or text.endswith("\n") else text + end
    return _proved(text, before + companies_text(companies).replace("\n", end), wanted)


def change_companies(text: str, changes: Mapping[int, Mapping[str, Any]]) -> str:
    """Set keys of rows, which count from 0. ValueError as above."""
    wanted = [{**row, **changes.get(number, {})} for number, row in enumerate(_rows(text))]
    document = tomlkit.parse(text)
    rows: Any = document[KEY]
    added: dict[int, list[str]] = {}
    for number, values in changes.items():
        for key, value in values.items():
            if key in rows[number] or not isinstance(rows, AoT):
                rows[number][key] = toml_value(value)
            else:
                added.setdefault(number, []).append(f"{key} = {toml_value(value).as_string()}")
    return _proved(text, _with_lines(tomlkit.dumps(document), added), wanted)


def remove_companies(text: str, numbers: Collection[int]) -> str:
    """Remove rows, which count from 0, each with the comment that stands directly above it.

    ValueError as above.
    """
    wanted = [row for number, row in enumerate(_rows(text)) if number not in numbers]
    document = tomlkit.parse(text)
    if isinstance(document[KEY], AoT):
        return _proved(text, _without_rows(text, numbers), wanted)
    for number in sorted(numbers, reverse=True):
        del document[KEY][number]
    return _proved(text, tomlkit.dumps(document), wanted)


def _rows(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tomllib.loads(text).get(KEY, [])
    return rows


def _proved(before: str, after: str, wanted: Sequence[Mapping[str, Any]]) -> str:
    """The text after an edit, if it says what was meant and all else as before."""
    old, new = tomllib.loads(before), {}
    old.pop(KEY, None)
    with suppress(tomllib.TOMLDecodeError):
        new = tomllib.loads(after)
    if new.pop(KEY, []) != list(wanted) or old != new:
        raise ValueError("it is written in a way that no program can edit; do it by hand")
    return after


class _Span(NamedTuple):
    """The lines of a row: `first` of the comment above it, `start` of itself, to before `end`."""

    first: int
    start: int
    end: int


def _spans(lines: Sequence[str]) -> list[_Span]:
    """The lines of each row; a look-alike within a text is caught by the proof."""
    headers = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    found = []
    for start in (number for number in headers if _ROW.match(lines[number])):
        end = next((one for one in headers if one > start), len(lines))
        # What stands behind the last key is about what follows.
        while end > start + 1 and _TRIVIA.match(lines[end - 1]):
            end -= 1
        first = start
        while first and _COMMENT.match(lines[first - 1]):
            first -= 1
        # A comment at the head of the file is about all of it.
        found.append(_Span(first or start, start, end))
    return found


def _without_rows(text: str, numbers: Collection[int]) -> str:
    lines = text.splitlines(keepends=True)
    removed: set[int] = set()
    for number, (first, _, end) in enumerate(_spans(lines)):
        if number in numbers:
            after = end < len(lines) and not lines[end].strip()
            removed.update(range(first, end + after))
    return "".join(line for number, line in enumerate(lines) if number not in removed)


def _with_lines(text: str, added: Mapping[int, Sequence[str]]) -> str:
    """The text with further lines at the end of rows."""
    lines = text.splitlines(keepends=True)
    end_of_line = _end_of_line(text)
    for number, (_, _, end) in reversed(list(enumerate(_spans(lines)))):
        if more := added.get(number):
            lines[end - 1] = lines[end - 1].rstrip("\r\n") + end_of_line
            lines[end:end] = [line + end_of_line for line in more]
    return "".join(lines)


def _end_of_line(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
