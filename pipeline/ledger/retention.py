"""Retention of the ledger: what of old rows may go without breaking exactly-once, and what never.

A row of a document that was delivered, or that was recognised as one, is the proof against a second
delivery: by its key when the source lists it again, by its checksum where the list states no
revision, by its identity and marks when it comes by a second route, by the hash of its name for the
next document of that name. So it is never removed: it is shrunk to that, and only loses what people
read: label, path, reason, warnings, details. What was skipped, quarantined, seen or waiting was
never delivered: such a row may go, for if it is listed again, it is only fetched again.

Neither happens to a row whose source has not been told of its end, or still lists it: each poll
that lists one touches its row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from pipeline.document import Key
from pipeline.ledger.connection import Dialect
from pipeline.ledger.models import State, columns
from pipeline.ledger.place import LedgerPlace, reading

#: Rows that are changed in one transaction, at most: some milliseconds.
BATCH = 200

#: SQL: a row of which nothing has happened since ?4, and whose source was told.
_TOLD = "acknowledged_at < ?4 AND changed_at < ?4"
#: SQL: a row that may be removed.
_REMOVABLE = (
    f"(state IN ('skipped', 'quarantined') AND {_TOLD}"
    " OR state IN ('seen', 'waiting') AND changed_at < ?4)"
)
_ONE = "WHERE source = ?1 AND id = ?2 AND revision = ?3"
REMOVE = f"DELETE FROM documents {_ONE} AND {_REMOVABLE}"  # noqa: S608 - constants only
#: The notes on documents, which are for people alone, go with the rest.
REMOVE_NOTES = (
    "DELETE FROM notes WHERE (company, reference, identity) IN (SELECT company, reference, identity"
    " FROM notes WHERE noted_at < ?1 LIMIT 200)"
)


def shrink(dialect: Dialect) -> str:
    """The statement that shrinks a row; its parameters are those of old_rows()."""
    return (
        f"UPDATE documents SET label = {_label(dialect)}, path = '', reason = '', warnings = '',"  # noqa: S608 - constants only
        f" checksum = '', details = '' {_ONE} AND {_shrinkable(dialect)}"
    )


def _label(dialect: Dialect) -> str:
    """SQL: the label of a shrunk row; whoever is told that it is a duplicate of it reads this."""
    return f"'a document of ' || coalesce({dialect.day('changed_at')}, 'long ago')"


def _shrinkable(dialect: Dialect) -> str:
    """SQL: a row that may be shrunk."""
    return f"state IN ('delivered', 'duplicate') AND {_TOLD} AND label <> {_label(dialect)}"


class Old(Struct, frozen=True):
    """A row that may be shrunk, or else removed."""

    key: Key
    state: State

    @property
    def shrinks(self) -> bool:
        """Whether it is shrunk; else it is removed."""
        return self.state in (State.DELIVERED, State.DUPLICATE)


class Row(Struct, frozen=True):
    """What the ledger has of one id in one revision."""

    source: str
    revision: str
    state: State
    poll: int
    is_acknowledged: bool
    sha256: str


class LedgerReader:
    """Reads the ledger beside the writer, whom it never keeps waiting. A thread at a time uses it.

    Each method raises StateError when the ledger can't be read.
    """

    def __init__(self, place: LedgerPlace) -> None:
        self._place = place

    def old(self, before: float, after: Key | None) -> list[Old]:
        """The next rows that may be shrunk or removed, in the order of their keys.

        before: seconds since 1970. after: the last one of the call before.
        """
        last = columns(after) if after is not None else ("", "", "")
        with reading(self._place) as connection:
            sql = (
                "SELECT source, id, revision, state FROM documents"  # noqa: S608 - constants only
                " WHERE (source, id, revision) > (?1, ?2, ?3)"
                f" AND ({_shrinkable(connection.dialect)} OR {_REMOVABLE})"
                f" ORDER BY source, id, revision LIMIT {BATCH}"
            )
            rows = connection.execute(sql, (*last, before)).fetchall()
        return [Old(Key(*row[:3]), State(row[3])) for row in rows]

    def rows_of(self, id_: str) -> list[Row]:
        """All rows of an id, whichever source has it."""
        sql = (
            "SELECT source, revision, state, poll, acknowledged_at IS NOT NULL, sha256"
            " FROM documents WHERE source IN (SELECT name FROM sources) AND id = ?"
        )
        return [
            Row(r[0], r[1], State(r[2]), r[3], bool(r[4]), r[5]) for r in self._read(sql, (id_,))
        ]

    def last_poll_at(self) -> float | None:
        """When a poll last ended, well or not; None if none ever has."""
        ((at,),) = self._read(
            "SELECT max(at) FROM (SELECT polled_at AS at FROM sources"
            " UNION ALL SELECT error_at FROM sources) AS ended",
            (),
        )
        return float(at) if at else None

    def _read(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        with reading(self._place) as connection:
            return connection.execute(sql, tuple(parameters)).fetchall()


def old_rows(keys: Iterable[Key], before: float) -> list[tuple[str, str, str, float]]:
    """The parameters of shrink() or REMOVE."""
    return [(*columns(key), before) for key in keys]
