"""Column finder: which column of a table holds what, by its Dutch, French or English heading."""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

#: Without these a row is no company.
NEEDED = ("name", "identifier")
#: Of a company, the keys that may have several columns, of which each counts.
SEVERAL = ("accounts",)

_BRACKETS = re.compile(r"[(\[].*?[)\]]")

#: For each key of a company its columns, counted from 0, the surest first.
Columns = Mapping[str, Sequence[int]]


@cache
def headings() -> Mapping[str, tuple[str, int]]:
    """For each known heading, folded, the key of its column, and how sure it is (0 is surest)."""
    text = files("stages.setup").joinpath("columns.toml").read_text("utf-8")
    known: dict[str, tuple[str, int]] = {}
    for key, names in tomllib.loads(text).items():
        for rank, name in enumerate(names):
            known.setdefault(folded(name), (key, rank))
    return known


def folded(heading: str) -> str:
    """A heading without capitals, accents, spaces and punctuation."""
    parts = unicodedata.normalize("NFKD", heading).casefold()
    return "".join(one for one in parts if one.isalnum())


def known_heading(text: str) -> tuple[str, int] | None:
    """What headings() knows of a heading, with or without what stands in it in brackets."""
    known = headings()
    return known.get(folded(text)) or known.get(folded(_BRACKETS.sub("", text)))


def score(cells: Sequence[str]) -> int:
    """How many keys of a company a row names as headings, if it names the needed ones; else 0."""
    keys = {found[0] for cell in cells if (found := known_heading(cell))}
    return len(keys) if keys.issuperset(NEEDED) else 0


def columns_of(cells: Sequence[str], named: Mapping[str, str]) -> Columns:
    """The columns by a row of headings.

    named: for a key, the heading of its column or its number, counted from 1, as the user says.
    ValueError names what is not found.
    """
    ranked: dict[str, list[tuple[int, int]]] = {}
    for number, cell in enumerate(cells):
        if found := known_heading(cell):
            key, rank = found
            ranked.setdefault(key, []).append((rank, number))
    columns = {key: [number for _, number in sorted(one)] for key, one in ranked.items()}
    given = {key: _named(cells, wanted) for key, wanted in named.items()}
    taken = set(given.values())
    columns = {
        key: [number for number in numbers if number not in taken]
        for key, numbers in columns.items()
    }
    return columns | {key: [number] for key, number in given.items()}


def _named(cells: Sequence[str], wanted: str) -> int:
    same = [number for number, cell in enumerate(cells) if folded(cell) == folded(wanted)]
    if same and folded(wanted):
        return same[0]
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(cells):
        return int(wanted) - 1
    near = difflib.get_close_matches(wanted, [cell for cell in cells if cell.strip()], n=1)
    known = ", ".join(f'"{cell}"' for cell in (near or cells[:20]) if cell.strip())
    raise ValueError(f'there is no column "{wanted}"; there are {known or "no headings"}')
