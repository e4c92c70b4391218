"""Ledger counts: a few figures of a ledger in use, read from its partial indexes alone.

They cost by what is counted, and not by the size of the ledger: no query scans the table.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from pipeline.ledger.connection import Connection, Dialect
from pipeline.ledger.models import State
from pipeline.ledger.place import LedgerPlace, reading
from pipeline.ledger.schema import IS_FINAL


def kept(dialect: Dialect) -> str:
    """The statement that counts what waits and what is in the quarantine, by its state."""
    indexed = dialect.indexed("documents_kept")
    return (
        f"SELECT state, count(*) FROM documents{indexed}"  # noqa: S608 - an index
        " WHERE state IN ('quarantined', 'waiting') GROUP BY state"
    )


def staged(dialect: Dialect) -> str:
    """The statement that counts what is staged."""
    indexed = dialect.indexed("documents_staged")
    return f"SELECT count(*) FROM documents{indexed} WHERE state = 'staged'"  # noqa: S608 - an index


def unacknowledged(dialect: Dialect) -> str:
    """The statement that counts what is at its end, and its source has not been told."""
    indexed = dialect.indexed("documents_open")
    return (
        f"SELECT count(*) FROM documents{indexed}"  # noqa: S608 - constants only
        f" WHERE acknowledged_at IS NULL AND {IS_FINAL}"
    )


class LedgerCounts(Struct, frozen=True):
    """Documents by what they still need, and the bytes of the ledger's files.

    unacknowledged: at their end, and their source has not been told.
    """

    quarantined: int = 0
    waiting: int = 0
    staged: int = 0
    unacknowledged: int = 0
    bytes: int = 0


def read_counts(place: LedgerPlace) -> LedgerCounts:
    """Read the counts of a ledger of the current version. Raises StateError."""
    with reading(place) as connection:
        dialect = connection.dialect
        found = dict(connection.execute(kept(dialect)).fetchall())
        return LedgerCounts(
            found.get(State.QUARANTINED.value, 0),
            found.get(State.WAITING.value, 0),
            connection.execute(staged(dialect)).fetchone()[0],
            connection.execute(unacknowledged(dialect)).fetchone()[0],
            _bytes(place, connection),
        )


def _bytes(place: LedgerPlace, connection: Connection) -> int:
    if isinstance(place, Path):
        return sum(_size(place.with_name(place.name + suffix)) for suffix in ("", "-wal"))
    return int(connection.execute("SELECT pg_database_size(current_database())").fetchone()[0])


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
