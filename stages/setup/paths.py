"""Path measure: the folders that result for each company, and whether the package takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from stages.naming.templates import variables
from stages.settings import NAMES, PATHS, Config, destination

#: Characters that the value of a variable usually has, at most. Ours: a long number, a long name.
_USUAL = {
    "issue_date": 10,
    "document_number": 20,
    "counterparty": 40,
    "account": 16,
    "kind": 9,
    "id": 36,
    "enterprise_name": 40,
    "enterprise_identifier": 12,
    "accounting_file_id": 12,
}
#: Characters of an extension, and of the number of an alternative name.
_EXTENSION = len("-99.xml")
#: Characters of the shortest file name that still tells one document from another.
SHORTEST_NAME = 20


class CompanyPaths(Struct, frozen=True):
    """The folders of one company, by the keys in [delivery]."""

    name: str
    identifier: str
    folders: dict[str, Path]


class Longest(Struct, frozen=True):
    """The longest folder, measured. length: its characters; name: those of a usual file name."""

    folder: Path
    length: int
    name: int
    limit: int

    @property
    def total(self) -> int:
        """Characters of the folder and a usual file name together."""
        return self.length + 1 + self.name

    @property
    def is_tight(self) -> bool:
        """Whether usual file names do not fit."""
        return self.total > self.limit

    @property
    def is_too_long(self) -> bool:
        """Whether not even a short file name fits."""
        return self.length + 1 + SHORTEST_NAME > self.limit


def company_paths(config: Config) -> Sequence[CompanyPaths]:
    """The folders of each company of a configuration."""
    return [
        CompanyPaths(
            one.name,
            one.identifier,
            {key: destination(config.delivery, one, key) for key in PATHS},
        )
        for one in config.companies
    ]


def longest_of(config: Config, paths: Sequence[CompanyPaths], limit: int) -> Longest:
    """The folder of which most characters are taken, with its usual file name."""
    names = {key: _usual_length(getattr(config.delivery, NAMES[key])) for key in PATHS}
    measured = [
        Longest(folder, length_of(folder), names[key], limit)
        for one in paths
        for key, folder in one.folders.items()
    ]
    return max(measured, key=lambda one: one.total)


def length_of(path: Path) -> int:
    """The characters of a path as Windows counts them: units of UTF-16."""
    return len(str(path).encode("utf-16-le", "replace")) // 2


def _usual_length(template: str) -> int:
    names = variables(template)
    text = template
    for name in names:
        text = text.replace(f"[{name}]", "")
    return len(text) + sum(_USUAL.get(name, 20) for name in names) + _EXTENSION
