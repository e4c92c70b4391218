"""What the first process and its workers say to each other: data alone, in the order of a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline.document import Key
from pipeline.errors import SynqupError
from pipeline.intake import Size, Tally


class Begin(Struct, frozen=True):
    """To a worker: be the one of this number, of so many; stages are of these sizes."""

    number: int
    workers: int
    state_dir: Path
    sizes: Mapping[str, Size]


class Share(Struct, frozen=True):
    """To a worker: later messages name this value by its number."""

    number: int
    value: Any


class OpenSource(Struct, frozen=True):
    """To a worker: later messages name the source of these settings by its number."""

    number: int
    settings: Any


class Drop(Struct, frozen=True):
    """To a worker: no later message names what has this number; a source is closed."""

    number: int


class Take(Struct, frozen=True):
    """To a worker: see this document to its end, or tell its source of it."""

    cargo: Any


class Resize(Struct, frozen=True):
    """To a worker: as Intake.resize()."""

    sizes: Mapping[str, Size]


class Forgive(Struct, frozen=True):
    """To a worker: as Intake.forgive()."""

    source: str


class End(Struct, frozen=True):
    """To a worker: end; at_once: with documents in flight, of which half done ones are finished."""

    at_once: bool


class Ready(Struct, frozen=True):
    """From a worker: documents may come."""


class Change(Struct, frozen=True):
    """From a worker: as Changes.change(); answer under this number."""

    number: int
    apply: Callable[[sqlite3.Connection], Any]
    durable: bool


class Lend(Struct, frozen=True):
    """From a worker: as Source.credential() of the source of that number; answer under this one."""

    number: int
    source: int
    refused: str


class Answer(Struct, frozen=True):
    """To a worker: what came of what it asked for, or the error that was raised."""

    number: int
    value: Any = None
    error: Exception | None = None


class Note(Struct, frozen=True):
    """From a worker: as Changes.note(), unanswered."""

    statement: str
    rows: tuple[tuple[Any, ...], ...]


class Landed(Struct, frozen=True):
    """From a worker: these documents are in flight no more.

    counts: what has become of them. setbacks: why a source is worth no further document, by name.
    """

    keys: tuple[Key, ...]
    counts: Tally
    setbacks: Mapping[str, SynqupError]


class Broken(Struct, frozen=True):
    """From a worker: a stage died of a bug; its traceback."""

    traceback: str


class Logged(Struct, frozen=True):
    """From a worker: an event for the log."""

    level: str
    event: Mapping[str, Any]
