"""Configuration types: units, validators, and the sections that concern the engine.

A validator returns the value to use, or raises ValueError with a message for the user: what is
wrong, and what would be right.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Annotated, Self, TypeVar

from msgspec import Struct

AnyPath = TypeVar("AnyPath", str, Path)
Number = TypeVar("Number", bound=float)

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
DECIMAL = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
BYTES = {**DECIMAL, "kib": 2**10, "mib": 2**20, "gib": 2**30}

CONTROL = re.compile(r"[\x00-\x1f\x7f]")

#: The largest duration or size: larger than any sensible one, and no use of one overflows.
MAX_QUANTITY = 10**12


class Duration(float):
    """Seconds, written as "30s", "5m", "2h", "1d" or a plain number of seconds."""

    @classmethod
    def parse(cls, raw: object) -> Self:
        """Parse a value of the file. Raises ValueError with what would be right."""
        return cls(_quantity(raw, SECONDS, 'a duration like "30s", "5m" or "2h"'))


class Size(int):
    """Bytes, written as "4 MB" (1 MB = 1,000,000 bytes), "16 MiB" or a plain number."""

    @classmethod
    def parse(cls, raw: object) -> Self:
        """Parse a value of the file. Raises ValueError with what would be right."""
        return cls(_quantity(raw, BYTES, 'a size like "500 kB", "4 MB" or "16 MiB"'))


class Mode(int):
    """Permissions as chmod(1) writes them: "0640"."""

    @classmethod
    def parse(cls, raw: object) -> Self:
        """Parse a value of the file. Raises ValueError with what would be right."""
        if not isinstance(raw, str) or not re.fullmatch(r"0?[0-7]{3}", raw):
            raise ValueError('expected are permissions in quotes, like "0640"')
        return cls(int(raw, 8))


def not_blank(text: str) -> str:
    """Validate a text that must not be empty."""
    if not text.strip():
        raise ValueError("this can't be empty; write what it is")
    return text


def one_of(*choices: str) -> Callable[[str], str]:
    """Make a validator that accepts these texts only."""

    def validate(text: str) -> str:
        if text not in choices:
            written = ", ".join(f'"{choice}"' for choice in choices)
            raise ValueError(f'"{text}" is none of {written}')
        return text

    return validate


def removed(why: str) -> Callable[[object], object]:
    """Make a validator that refuses a key which only earlier versions had."""

    def validate(_: object) -> object:
        raise ValueError(f"{why}; remove this key")

    return validate


def above_zero(value: Number) -> Number:
    """Validate a number, a duration or a size that must be positive."""
    if value <= 0:
        raise ValueError("this has to be more than zero; leave it out for the usual value")
    return value


def at_least_one_second(value: Duration) -> Duration:
    """Validate a duration that must be a second or more."""
    if value < 1:
        raise ValueError('less than a second; write "1s" or more')
    return value


def at_least_days(days: int) -> Callable[[Duration], Duration]:
    """Make a validator of durations that must be so many days or more."""

    def validate(value: Duration) -> Duration:
        if value < days * SECONDS["d"]:
            raise ValueError(f'less than {days} d; write "{days}d" or more')
        return value

    return validate


def at_least_a_megabyte(value: Size) -> Size:
    """Validate a size that must be a megabyte or more."""
    if value < BYTES["mb"]:
        raise ValueError('less than a megabyte; write "1 MB" or more')
    return value


def output_path(path: AnyPath) -> AnyPath:
    """Validate a path that is written to: absolute, or below the configuration's folder."""
    text = str(path)
    if not text.strip():
        raise ValueError('a path can\'t be empty; write "." for the folder of this file')
    if CONTROL.search(text):
        raise ValueError("a path can't hold control characters; in TOML, write \\ as / or as \\\\")
    if sys.platform != "win32" and (PureWindowsPath(text).drive or "\\" in text):
        raise ValueError(f'"{text}" is a path of Windows; write one of this system: /srv/books')
    if not Path(text).is_absolute() and (
        Path(text).anchor or Path(os.path.normpath(text)).parts[:1] == ("..",)
    ):
        raise ValueError(f'"{text}" leaves the folder of this file; write an absolute path')
    return path


class Secret(Struct, frozen=True, forbid_unknown_fields=True):
    """The place of a secret, never the secret itself. Exactly one of the three is set.

    env: an environment variable. file: a path, relative to the configuration file.
    keyring: a name under the service "synqup" in the keyring of the operating system.
    """

    env: str | None = None
    file: str | None = None
    keyring: str | None = None


class ServiceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[service]: settings of the whole program.

    max_document_size, spool_threshold: bytes. A document above the first is refused, one above
    the second is kept in a temporary file on its way. require_checksum: refuse a document that
    comes without one. log_level: the least that is logged. keep_log, max_log_size: when files of
    the log are removed: by their age, and by the bytes of all of them. keep_quarantine,
    keep_ledger: seconds after which a quarantined document is removed, and what only people read
    of a document's record; None for never. keep_delivered: how long a copy of what was delivered
    is kept, None for not at all; keep_delivered_size: the bytes of all copies, at most. workers:
    removed; only earlier versions had it.
    """

    state_dir: Annotated[Path, output_path]
    poll_interval: Annotated[Duration, at_least_one_second] = Duration(300)
    shutdown_grace: Duration = Duration(30)
    max_document_size: Annotated[Size, above_zero] = Size(50_000_000)
    spool_threshold: Size = Size(4_000_000)
    require_checksum: bool = False
    log_level: Annotated[str, one_of("debug", "info", "warning", "error")] = "info"
    keep_log: Annotated[Duration, at_least_days(1)] = Duration(30 * 86400)
    max_log_size: Annotated[Size, at_least_a_megabyte] = Size(200_000_000)
    keep_quarantine: Annotated[Duration, at_least_days(7)] | None = None
    keep_ledger: Annotated[Duration, at_least_days(30)] | None = None
    keep_delivered: Annotated[Duration, at_least_days(1)] | None = None
    keep_delivered_size: Annotated[Size, at_least_a_megabyte] = Size(2_000_000_000)
    workers: Annotated[int | None, removed("there are no worker processes any more")] = None


class StageSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[stages.NAME]: workers, and the bounds of the queue in front of them."""

    workers: Annotated[int, above_zero] | None = None
    queue: Annotated[int, above_zero] | None = None
    queue_bytes: Annotated[Size, above_zero] | None = None


def absolute(base: Path, path: str | os.PathLike[str]) -> Path:
    """The absolute path of a path in the configuration; base: the configuration's folder."""
    return Path(os.path.normpath(base / path))


def _quantity(raw: object, units: Mapping[str, int], expected: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError(f"expected is {expected}")  # noqa: TRY004 - msgspec words a ValueError
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(raw))
    if match is None or match[2].lower() not in units:
        raise ValueError(f'"{raw}" is not {expected}')
    quantity = float(match[1]) * units[match[2].lower()]
    if quantity > MAX_QUANTITY:
        raise ValueError(f"this is far too much; expected is {expected}")
    return quantity
