"""Ledger statements: the operations of the ledger that ask, or that look at what they changed.

Each runs within the transaction that is open.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.document import Key
from pipeline.ledger.connection import Connection
from pipeline.ledger.models import Known, State, Unfinished, columns
from pipeline.ledger.schema import IS_FINAL
from pipeline.ledger.writer import RowMissing

#: Ids, or rows, of one query, at most.
PAGE_SIZE = 500


def begin_poll(source: str, connection: Connection) -> int:
    """Count a poll of a source, and return its number."""
    cursor = connection.execute(
        "INSERT INTO sources (name, poll) VALUES (?, 1)"
        " ON CONFLICT (name) DO UPDATE SET poll = sources.poll + 1 RETURNING poll",
        (source,),
    )
    ((number,),) = cursor.fetchall()
    return int(number)


def delivered(rows: Sequence[tuple[str, str, str, float, str]], connection: Connection) -> None:
    """Record documents as delivered: (source, id, revision, time, temporary file) each.

    Raises RowMissing for one that is neither staged under that file nor delivered already.
    """
    cursor = connection.executemany(
        "UPDATE documents SET state = 'delivered', staged = '', companions = '', reason = '',"
        " delivered_at = ?4, changed_at = ?4 WHERE source = ?1 AND id = ?2 AND revision = ?3"
        " AND state = 'staged' AND staged = ?5",
        rows,
    )
    updated = cursor.rowcount
    cursor.close()
    if updated == len(rows):
        return
    sql = (
        "SELECT 1 FROM documents WHERE source = ?1 AND id = ?2 AND revision = ?3"
        " AND state = 'delivered'"
    )
    missing = [row for row in rows if not connection.execute(sql, row[:3]).fetchall()]
    if missing:
        raise RowMissing(f"{len(missing)} of {len(rows)} rows: {missing[0]} …")


def cursor(source: str, connection: Connection) -> str:
    """Where the next walk over the list of a source may begin."""
    row = connection.execute("SELECT cursor FROM sources WHERE name = ?", (source,)).fetchone()
    return str(row[0]) if row else ""


def contents(
    source: str, ids: Sequence[str], connection: Connection
) -> dict[str, dict[str, Known]]:
    """The rows of some ids, by id and revision."""
    found: dict[str, dict[str, Known]] = {}
    for some in (ids[start : start + PAGE_SIZE] for start in range(0, len(ids), PAGE_SIZE)):
        rows = connection.execute(
            "SELECT id, revision, state, poll, acknowledged_at, reason, sha256, seen_at"  # noqa: S608 - constants only
            " FROM documents"
            f" WHERE source = ? AND id IN ({', '.join('?' * len(some))})",
            (source, *some),
        )
        for row in rows:
            found.setdefault(row[0], {})[row[1]] = Known(State(row[2]), *row[3:])
    return found


def unacknowledged(
    source: str, after: tuple[Key, Known] | None, connection: Connection
) -> list[tuple[Key, Known]]:
    """The next page of the documents of which a source has not been told."""
    last = (after[1].state.value, *columns(after[0])[1:]) if after else ("", "", "")
    rows = connection.execute(
        "SELECT id, revision, state, poll, acknowledged_at, reason, company FROM documents"  # noqa: S608 - constants only
        f"{connection.dialect.indexed('documents_open')}"
        f" WHERE source = ?1 AND acknowledged_at IS NULL AND {IS_FINAL}"
        " AND (state, id, revision) > (?2, ?3, ?4) ORDER BY state, id, revision LIMIT ?5",
        (source, *last, PAGE_SIZE),
    )
    return [
        (Key(source, r[0], r[1]), Known(State(r[2]), r[3], r[4], r[5], company=r[6] or ""))
        for r in rows
    ]


def unfinished(connection: Connection) -> list[Unfinished]:
    """All documents that are staged."""
    rows = connection.execute(
        "SELECT source, id, revision, staged, companions, path, label, company, kind, sha256, node"
        " FROM documents WHERE state = 'staged'"
    )
    return [Unfinished(Key(*r[:3]), r[3], tuple(r[4].split()), *r[5:]) for r in rows]
