"""Ledger counts: a few figures of a ledger in use, read from its partial indexes alone.

They cost by what is counted, and not by the size of the ledger: no query scans the table.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from msgspec import Struct

from pipeline.errors import StateError
from pipeline.ledger.database import BUSY_TIMEOUT
from pipeline.ledger.models import State
from pipeline.ledger.schema import IS_FINAL

#: Each names its index: without it, SQLite might decide to read the whole table.
_KEPT = (
    "SELECT state, count(*) FROM documents INDEXED BY documents_kept"
    " WHERE state IN ('quarantined', 'waiting') GROUP BY state"
)
_STAGED = "SELECT count(*) FROM documents INDEXED BY documents_staged WHERE state = 'staged'"
_UNACKNOWLEDGED = (
    "SELECT count(*) FROM documents INDEXED BY documents_open"  # noqa: S608 - constants only
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


def read_counts(path: Path) -> LedgerCounts:
    """Read the counts of a ledger of the current version. Raises StateError."""
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT
        )
        with closing(connection):
            kept = dict(connection.execute(_KEPT).fetchall())
            staged = connection.execute(_STAGED).fetchone()[0]
            unacknowledged = connection.execute(_UNACKNOWLEDGED).fetchone()[0]
    except sqlite3.Error as error:
        raise StateError(str(path), f"the ledger can't be read ({error})") from None
    return LedgerCounts(
        kept.get(State.QUARANTINED.value, 0),
        kept.get(State.WAITING.value, 0),
        staged,
        unacknowledged,
        sum(_size(path.with_name(path.name + suffix)) for suffix in ("", "-wal")),
    )


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
