"""Ledger summary: what `synqup status` shows, read beside a program that may be writing it."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from pipeline.errors import StateError
from pipeline.ledger.connection import Connection, NoLedger
from pipeline.ledger.models import State
from pipeline.ledger.place import LedgerPlace, reading
from pipeline.ledger.sqlite_connection import unreadable

#: Refusals of one company, and different things that are said of its documents.
MAX_REFUSED = 20
MAX_SAYINGS = 50


class Undelivered(Struct, frozen=True):
    """A document that is quarantined or waiting, with the reason; at: when that was recorded."""

    source: str
    id: str
    label: str
    reason: str
    at: float


class StateCount(Struct, frozen=True):
    """How many documents of a company are in one state."""

    company: str
    kind: str
    state: State
    documents: int


class SourceState(Struct, frozen=True):
    """The last complete poll of a source, and the error of a poll since then, if there was one.

    polled_at: in seconds since 1970; None if no poll was ever complete. unreadable: how many listed
    documents the last poll left out because they can't be read. paused_at, paused_by: since when,
    and by whom, it is paused; None and "" if it is not.
    """

    name: str
    polled_at: float | None
    error: str
    error_at: float | None
    unreadable: int = 0
    paused_at: float | None = None
    paused_by: str = ""


class NoteCount(Struct, frozen=True):
    """How many notes on documents of a company say one thing."""

    company: str
    says: str
    notes: int


class Refusal(Struct, frozen=True):
    """A note that refuses a document of a company, by its number; at: when that was recorded."""

    company: str
    reference: str
    party: str
    reason: str
    at: float


class Summary(Struct, frozen=True):
    """All that `synqup status` shows of the ledger.

    answers: what others say of documents. refused: of each company the latest MAX_REFUSED of them
    that are refusals, the latest first.
    """

    sources: tuple[SourceState, ...]
    counts: tuple[StateCount, ...]
    unacknowledged: int
    quarantine: tuple[Undelivered, ...]
    waiting: tuple[Undelivered, ...]
    answers: tuple[NoteCount, ...] = ()
    refused: tuple[Refusal, ...] = ()


def summarise(place: LedgerPlace, configured: Iterable[str] = ()) -> Summary:
    """Summarise the ledger at a place; before the first start there is none. Raises StateError.

    configured: names of sources, which come first, and are listed even if the ledger has no record
    of them.
    """
    sources = {name: SourceState(name, None, "", None) for name in configured}
    if isinstance(place, Path) and not _exists(place):
        return Summary(tuple(sources.values()), (), 0, (), ())
    try:
        with reading(place) as connection:
            return _summary(connection, sources)
    except NoLedger:
        return Summary(tuple(sources.values()), (), 0, (), ())


def _exists(path: Path) -> bool:
    """Whether a file lies at the path. Raises StateError for something else."""
    try:
        if stat.S_ISREG(path.stat().st_mode):
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StateError(str(path), *unreadable(error)) from None
    raise StateError(str(path), "this is no ledger, and no file at all", "Move it away")


def _summary(connection: Connection, sources: dict[str, SourceState]) -> Summary:
    def undelivered(state: State) -> tuple[Undelivered, ...]:
        rows = connection.execute(
            "SELECT source, id, label, reason, changed_at FROM documents"
            " WHERE state = ? ORDER BY changed_at",
            (state.value,),
        )
        return tuple(Undelivered(*row) for row in rows)

    counts = connection.execute(
        "SELECT company, kind, state, count(*) FROM documents GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    unacknowledged = connection.execute(
        "SELECT count(*) FROM documents WHERE acknowledged_at IS NULL"
        " AND state IN ('delivered', 'duplicate', 'skipped', 'quarantined')"
    ).fetchone()
    # Before the first start of this version there may be an older ledger, without some of this.
    noted = connection.execute(connection.dialect.columns("notes")).fetchone()
    columns = {row[0] for row in connection.execute(connection.dialect.columns("sources"))}
    unreadable = "unreadable" if "unreadable" in columns else "0"
    paused = "paused_at, paused_by" if "paused_at" in columns else "NULL, ''"
    known = connection.execute(
        f"SELECT name, polled_at, error, error_at, {unreadable}, {paused} FROM sources ORDER BY 1"  # noqa: S608 - known words
    )
    sources |= {row[0]: SourceState(*row) for row in known}
    return Summary(
        sources=tuple(sources.values()),
        counts=tuple(StateCount(r[0], r[1], State(r[2]), r[3]) for r in counts),
        unacknowledged=unacknowledged[0],
        quarantine=undelivered(State.QUARANTINED),
        waiting=undelivered(State.WAITING),
        answers=_answers(connection) if noted else (),
        refused=_refused(connection) if noted else (),
    )


def _answers(connection: Connection) -> tuple[NoteCount, ...]:
    rows = connection.execute(
        "SELECT company, says, notes FROM (SELECT company, says, count(*) AS notes, row_number()"
        " OVER (PARTITION BY company ORDER BY count(*) DESC, says) AS place FROM notes"
        " GROUP BY 1, 2) AS said WHERE place <= ? ORDER BY company, place",
        (MAX_SAYINGS,),
    )
    return tuple(NoteCount(*row) for row in rows)


def _refused(connection: Connection) -> tuple[Refusal, ...]:
    rows = connection.execute(
        "SELECT company, reference, party, reason, noted_at FROM (SELECT *, row_number() OVER"
        " (PARTITION BY company ORDER BY noted_at DESC, reference) AS place FROM notes"
        " WHERE accepted = 0) AS refused WHERE place <= ? ORDER BY company, place",
        (MAX_REFUSED,),
    )
    return tuple(Refusal(*row) for row in rows)
