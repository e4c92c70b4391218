"""What `synqup status` tells of the ledger, read beside a program that may be writing it."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from pipeline.errors import StateError
from pipeline.ledger.database import BUSY_TIMEOUT, is_damage, is_refusal, words
from pipeline.ledger.models import State


class Undelivered(Struct, frozen=True):
    """A document that was not delivered."""

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
    """When a source was last read through, and what went wrong last, if it did since.

    polled_at: None when it was never read through to its end.
    """

    name: str
    polled_at: float | None
    error: str
    error_at: float | None


class Summary(Struct, frozen=True):
    """All that `synqup status` tells."""

    sources: tuple[SourceState, ...]
    counts: tuple[StateCount, ...]
    unacknowledged: int
    quarantine: tuple[Undelivered, ...]
    waiting: tuple[Undelivered, ...]


def summarise(path: Path, configured: Iterable[str] = ()) -> Summary:
    """Read the ledger at a path; there is none before the first start. StateError.

    configured: names of sources that are told of first, and also where the ledger has no word of
    them.
    """
    sources = {name: SourceState(name, None, "", None) for name in configured}
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StateError(str(path), "this is no ledger, and no file at all", "Move it away")
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)
        with closing(connection):
            return _summary(connection, sources)
    except FileNotFoundError:
        return Summary(tuple(sources.values()), (), 0, (), ())
    except (OSError, sqlite3.DatabaseError) as error:
        said, remedy = _words(error)
        raise StateError(str(path), f"the ledger can't be read: {said}", remedy) from None


def _words(error: OSError | sqlite3.DatabaseError) -> tuple[str, str]:
    """What to say of a ledger that can't be read, and what to do."""
    if is_damage(error):
        return f"it is damaged ({error})", "The next start keeps it aside, and begins a new one"
    if isinstance(error, OSError) or is_refusal(error):
        said, remedy = words(error)
        # To be read beside its writer it takes a file that readers share and may have to make.
        return said, f"{remedy}, or ask as the account that runs synqup; then ask again"
    return f"{error}", "Ask with the version of synqup that writes it"


def _summary(connection: sqlite3.Connection, sources: dict[str, SourceState]) -> Summary:
    def kept(state: State) -> tuple[Undelivered, ...]:
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
    known = connection.execute("SELECT name, polled_at, error, error_at FROM sources ORDER BY 1")
    sources |= {row[0]: SourceState(*row) for row in known}
    return Summary(
        sources=tuple(sources.values()),
        counts=tuple(StateCount(r[0], r[1], State(r[2]), r[3]) for r in counts),
        unacknowledged=unacknowledged[0],
        quarantine=kept(State.QUARANTINED),
        waiting=kept(State.WAITING),
    )
