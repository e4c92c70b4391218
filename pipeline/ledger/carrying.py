"""Carrying a ledger over: all rows of a file of SQLite into a database of PostgreSQL, or none.

They are copied as they are, whatever tables the schema has, in one transaction, in which no node
can change anything. What was carried over the database knows by a name that the caller gives it: so
after a crash it is found out whether that transaction was committed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from msgspec import Struct

from pipeline.errors import StateError
from pipeline.ledger.connection import Connection
from pipeline.ledger.postgres_connection import PostgresConnection, connect, limit_statements
from pipeline.ledger.postgres_errors import Unsuitable, explain, is_recoverable
from pipeline.ledger.postgres_schema import SUBJECT
from pipeline.ledger.postgres_settings import check_settings
from pipeline.ledger.postgres_store import CHANGES_LOCK
from pipeline.ledger.sqlite_connection import reading_sqlite
from pipeline.ledger.sqlite_errors import check_structure

T = TypeVar("T")

#: Seconds that one of the statements may take: it is about millions of rows.
TIMEOUT = 6 * 3600.0
#: Rows between two calls that tell how far it is.
STEP = 1000

_CARRIED = """
CREATE TABLE IF NOT EXISTS ledger_carried (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), name text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(), documents bigint NOT NULL
)"""
_NUMBERED = """
SELECT table_name, column_name FROM information_schema.columns
    WHERE is_identity = 'YES' AND table_schema = current_schema() AND table_name = ?
"""

#: Is told how many rows are copied so far, and of how many.
Show = Callable[[int, int], object]


class Found(Struct, frozen=True):
    """What a database holds. name: of the ledger that was carried over into it; "" if none was."""

    name: str
    is_used: bool


def ensure_sound(path: Path) -> None:
    """Raise StateError where a ledger is damaged or can't be read; it reads the whole file."""
    with reading_sqlite(path) as connection:
        check_structure(connection)


def look(dsn: str) -> Found:
    """What the ledger in a database holds, which may have no tables yet. Raises StateError."""
    with closing(_connected(dsn)) as connection:
        return _translating(lambda: _found(connection))


def carry(
    path: Path,
    dsn: str,
    name: str,
    node: str,
    also: Callable[[Connection], object],
    show: Show,
) -> int:
    """Copy a ledger of the current version that nobody writes, and record its name; its documents.

    The tables are there. node: which one has delivered what was delivered so far, and has the
    copies of it. also: what else is done in the same transaction. Raises StateError: nothing was
    copied, unless the answer to the commit was lost, which look() tells.
    """
    with closing(_connected(dsn)) as target, reading_sqlite(path) as source:
        return _translating(lambda: _carry(source, target, name, node, also, show))


def _carry(
    source: sqlite3.Connection,
    target: PostgresConnection,
    name: str,
    node: str,
    also: Callable[[Connection], object],
    show: Show,
) -> int:
    limit_statements(target, TIMEOUT)
    target.execute(f"BEGIN; SELECT pg_advisory_xact_lock({CHANGES_LOCK})")
    if _found(target).is_used:
        raise in_use()
    # As of one moment, though nobody ought to write it.
    source.execute("BEGIN")
    tables = _tables(source)
    counts = {one: _count(source, one) for one in tables}
    copied, total = 0, sum(counts.values())
    for table in tables:
        if table == "sources":
            # Of polls that found nothing.
            target.execute("DELETE FROM sources")

        def rows(table: str = table, before: int = copied) -> Iterator[Sequence[Any]]:
            for number, row in enumerate(_rows(source, table, node), before):
                if number % STEP == 0:
                    show(number, total)
                yield row

        _copy(target, table, _columns(source, table), rows(), counts[table])
        copied += counts[table]
        _number_on(source, target, table)
    also(target)
    target.execute("; ".join(f"ANALYZE {table}" for table in tables))
    target.execute(_CARRIED)
    target.execute(
        "INSERT INTO ledger_carried (name, documents) VALUES (?1, ?2)",
        (name, counts["documents"]),
    )
    target.execute("COMMIT")
    show(total, total)
    return counts["documents"]


def _copy(
    target: PostgresConnection,
    table: str,
    columns: Sequence[str],
    rows: Iterator[Sequence[Any]],
    expected: int,
) -> None:
    copied = target.copy(table, columns, rows)
    if copied != expected:
        raise StateError(
            SUBJECT,
            f"of the {expected:,} rows of {table} only {copied:,} arrived",
            "Nothing was carried over; send this line to support",
        )


def _tables(source: sqlite3.Connection) -> list[str]:
    rows = source.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%'"
        " ESCAPE '~' ORDER BY name"
    )
    return [name for (name,) in rows]


def _columns(source: sqlite3.Connection, table: str) -> list[str]:
    return [name for (name,) in source.execute("SELECT name FROM pragma_table_info(?)", (table,))]


def _count(source: sqlite3.Connection, table: str) -> int:
    (count,) = source.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - of the schema
    return int(count)


def _rows(source: sqlite3.Connection, table: str, node: str) -> Iterator[Sequence[Any]]:
    """The rows of a table; what one machine has delivered alone is the node's from now on."""
    own = "CASE WHEN node = '' AND state = 'delivered' THEN :node ELSE node END"
    columns = [own if one == "node" else one for one in _columns(source, table)]
    return source.execute(f"SELECT {', '.join(columns)} FROM {table}", {"node": node})  # noqa: S608 - of the schema


def _number_on(source: sqlite3.Connection, target: PostgresConnection, table: str) -> None:
    """Have the numbers of new rows go on after all that were ever given."""
    for name, column in target.execute(_NUMBERED, (table,)).fetchall():
        given = source.execute(
            f"SELECT max(coalesce((SELECT max({column}) FROM {name}), 0),"  # noqa: S608 - of the schema
            " coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0))",
            (name,),
        ).fetchone()[0]
        if given:
            target.execute(
                "SELECT setval(pg_get_serial_sequence(?1, ?2), CAST(?3 AS bigint))",
                (name, column, given),
            )


def _found(connection: PostgresConnection) -> Found:
    name, is_used = "", False
    if _exists(connection, "ledger_carried"):
        row = connection.execute("SELECT name FROM ledger_carried").fetchone()
        name = row[0] if row else ""
    for table in ("documents", "actions", "orders", "notes"):
        if _exists(connection, table):
            row = connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()  # noqa: S608
            is_used = is_used or bool(row and row[0])
    return Found(name, is_used or bool(name))


def _exists(connection: PostgresConnection, table: str) -> bool:
    return bool(connection.execute(connection.dialect.columns(table)).fetchone())


def in_use() -> StateError:
    """The error of a database that holds another ledger already."""
    return StateError(
        SUBJECT,
        "it holds documents already, and two ledgers can't be made one",
        "Name an empty database in the dsn of [cluster]; or, to leave the ledger of this machine"
        " behind, move it away: what its platforms still list then comes once more",
    )


def _connected(dsn: str) -> PostgresConnection:
    connection = _translating(lambda: connect(dsn, "synqup cluster adopt"))
    try:
        _translating(lambda: check_settings(connection, dsn))
    except BaseException:
        connection.close()
        raise
    return connection


def _translating(work: Callable[[], T]) -> T:
    try:
        return work()
    except (psycopg.Error, Unsuitable) as error:
        said = " ".join(str(error).split())
        reason, remedy = said, "If it goes on, send this line to support"
        if is_recoverable(error):
            reason, remedy = explain(error)
        raise StateError(SUBJECT, f"the ledger can't be carried over: {reason}", remedy) from None
