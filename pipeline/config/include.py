"""Configuration includes: reads a file and those that its `include` names, as one table.

The lists of all files are joined in the order of the files; a section or a key may stand in one
of them only. A path in `include` is relative to the file that names it. Each file is read once, and
their number and their size in all are bounded, so that a circle ends in a sentence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.loader import MAX_CONFIG_BYTES, parse_toml, read_toml_bytes
from pipeline.config.types import absolute
from pipeline.errors import ConfigurationError

#: Files of one configuration, at most.
MAX_FILES = 100

_TOP = re.compile(r"([^.\[\]]+)(?:\[(\d+)\])?")


class ConfigTable:
    """The table of a configuration file and of all that it includes.

    raw: the joined table, without `include`. files: those that it was read from, the first one
    first; or, after an error, those that were tried.
    """

    def __init__(self, path: Path, edited: Mapping[Path, bytes] | None = None) -> None:
        """edited: contents that are taken in place of those of a file; see read_config()."""
        self.raw: dict[str, Any] = {}
        self.files: list[Path] = []
        self._edited = edited or {}
        self._main = path
        self._bytes = 0
        #: Where each key stands: for a list, each of its rows with its number in that file.
        self._places: dict[str, list[tuple[Path, int]]] = {}

    def read(self) -> None:
        """Read all files. Raises ConfigurationError."""
        self._read(self._main, self._main)

    def place(self, key: str, row: int = 0) -> tuple[Path, int]:
        """The file of a top key and, if its value is a list, the number there of one of its rows.

        row: counted from 0 in the joined list. The number counts from 1.
        """
        return self._places[key][row]

    def shown(self, key: str) -> str:
        """A key of the joined table as it stands in its file, which is named if it is included.

        companies[12].name becomes companies[3].name of companies.toml, for instance.
        """
        match = _TOP.match(key)
        places = self._places.get(match[1], []) if match else []
        row = int(match[2]) - 1 if match and match[2] else 0
        if match is None or row >= len(places):
            return key
        file, number = places[row]
        if match[2]:
            key = f"{match[1]}[{number}]{key[match.end() :]}"
        return key if file == self._main else f"{self._named(file)}: {key}"

    def _read(self, path: Path, named_by: Path) -> None:
        if _same(path) in map(_same, self.files):
            raise self._problem(named_by, f"{self._named(path)} is included already; name it once")
        if len(self.files) >= MAX_FILES:
            raise self._problem(named_by, f"more than {MAX_FILES} files are included; join some")
        self.files.append(path)
        data = self._edited.get(path)
        if data is None:
            data = read_toml_bytes(path)
        self._bytes += len(data)
        if self._bytes > MAX_CONFIG_BYTES:
            raise self._problem(
                named_by, f"the files have more than {MAX_CONFIG_BYTES:,} bytes in all"
            )
        raw = parse_toml(path, data)
        included = self._included(path, raw.pop("include", []))
        for key, value in raw.items():
            self._add(path, key, value)
        for one in included:
            self._read(one, path)

    def _add(self, path: Path, key: str, value: Any) -> None:
        if isinstance(value, list):
            places = [(path, number) for number in range(1, len(value) + 1)]
        else:
            places = [(path, 0)]
        if key not in self.raw:
            self.raw[key] = value
            self._places[key] = places
        elif isinstance(value, list) and isinstance(self.raw[key], list):
            self.raw[key] += value
            self._places[key] += places
        else:
            other = next(iter(self._places[key]), (self._main, 0))[0]
            what = f"[{key}]" if isinstance(value, dict) else key
            raise ConfigurationError(
                str(path), [f"{what}: it stands in {self._named(other)} too; keep one of them"]
            )

    def _included(self, path: Path, value: Any) -> list[Path]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._problem(
                path, 'expected is a file, like "companies.toml", or a list of them'
            )
        if not all(name.strip() and "\0" not in name for name in names):
            raise self._problem(path, "a file has to have a name; remove this key if there is none")
        return [absolute(path.parent, name) for name in names]

    def _problem(self, path: Path, sentence: str) -> ConfigurationError:
        return ConfigurationError(str(path), [f"include: {sentence}"])

    def _named(self, path: Path) -> str:
        """A file as the first one would name it."""
        if path.is_relative_to(self._main.parent):
            return path.relative_to(self._main.parent).as_posix()
        return str(path)


def read_config(path: Path, edited: Mapping[Path, bytes] | None = None) -> ConfigTable:
    """Read a configuration file and all that it includes. Raises ConfigurationError.

    edited: by absolute path, the contents that a file is to get: what it would mean is read before
    it is written.
    """
    table = ConfigTable(_absolute(path), edited)
    table.read()
    return table


def config_files(path: Path) -> tuple[Path, ...]:
    """The files of which a configuration is made, as far as they can be read; `path` is the first.

    One that is missing, or is not TOML, is among them: it may have been saved at this moment.
    """
    table = ConfigTable(_absolute(path))
    try:
        table.read()
    except ConfigurationError:
        if not table.files:
            return (table._main,)  # noqa: SLF001 - of this module
    return tuple(table.files)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute() keeps ".."


def _same(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))
