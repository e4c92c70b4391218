"""Company list of a configuration: reads it, and edits it in the files where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline.app.wiring_setup import (
    Company,
    Config,
    NewCompany,
    add_companies,
    change_companies,
    load_candidate,
    remove_companies,
)
from pipeline.config.include import read_config
from pipeline.config.loader import read_toml_bytes
from pipeline.config.rewrite import write_files
from pipeline.errors import ConfigurationError

KEY = "companies"
_BOM = "\ufeff"


class Row(Struct, frozen=True):
    """A company that is configured, and where: the number of its row in a file, from 0."""

    company: Company
    file: Path
    number: int


class CompanyList:
    """The companies of a configuration file and of those that it includes.

    Edits are kept until write(). All raise ConfigurationError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        table = read_config(path)
        self.config: Config = load_candidate(path, {})
        self.rows = [
            Row(company, file, number - 1)
            for row, company in enumerate(self.config.companies)
            for file, number in [table.place(KEY, row)]
        ]
        self._before: dict[Path, bytes] = {}
        self._after: dict[Path, str] = {}
        self._candidate: Config | None = None

    @property
    def sources(self) -> Sequence[str]:
        """The names of the sources."""
        return [source.name for source in self.config.sources]

    @property
    def file(self) -> Path:
        """The file to which companies are added: that of the last one."""
        return self.rows[-1].file

    def find(self, identifier: str, source: str) -> Row | None:
        """The row of a company."""
        for row in self.rows:
            if (row.company.identifier, row.company.source) == (identifier, source):
                return row
        return None

    def add(self, companies: Sequence[NewCompany]) -> None:
        """Add companies at the end of the list."""
        self._edit(self.file, partial(add_companies, companies=companies))

    def change(self, changes: Iterable[tuple[Row, Mapping[str, Any]]]) -> None:
        """Set keys of companies."""
        by_file: dict[Path, dict[int, Mapping[str, Any]]] = {}
        for row, values in changes:
            by_file.setdefault(row.file, {})[row.number] = values
        for file, numbers in by_file.items():
            self._edit(file, partial(change_companies, changes=numbers))

    def remove(self, rows: Iterable[Row]) -> None:
        """Remove companies."""
        by_file: dict[Path, set[int]] = {}
        for row in rows:
            by_file.setdefault(row.file, set()).add(row.number)
        for file, numbers in by_file.items():
            self._edit(file, partial(remove_companies, numbers=numbers))

    def candidate(self) -> Config:
        """The configuration as it will be; its problems are those of the edit."""
        if self._candidate is None:
            self._candidate = load_candidate(self.path, self._bytes())
        return self._candidate

    def write(self) -> None:
        """Write what was edited, if it can be used."""
        self.candidate()
        write_files(self._bytes(), self._before)

    def _edit(self, file: Path, edit: Callable[[str], str]) -> None:
        if file not in self._after:
            self._before[file] = read_toml_bytes(file)
            self._after[file] = self._before[file].decode()
        self._candidate = None
        text = self._after[file]
        mark = _BOM if text.startswith(_BOM) else ""
        try:
            self._after[file] = mark + edit(text.removeprefix(_BOM))
        except ValueError as error:
            raise ConfigurationError(str(file), [str(error)]) from None

    def _bytes(self) -> dict[Path, bytes]:
        return {file: text.encode() for file, text in self._after.items()}
