"""A ledger that is carried over has the same rows in every table, whatever they hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

pytest.importorskip("psycopg")

from pipeline.errors import StateError
from pipeline.ledger import carrying
from pipeline.ledger.database import open_database
from pipeline.ledger.place import PostgresPlace, open_store, reading
from tests.helpers.ledgers import psycopg_of

pytestmark = pytest.mark.slow

NAME = "of this ledger"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "ledger.sqlite"
    open_database(file).close()
    return file


@pytest.fixture
def place(postgres: str) -> PostgresPlace:
    one = PostgresPlace(postgres)
    open_store(one).close()
    return one


def carry(path: Path, place: PostgresPlace, also: Callable[[Any], object] = lambda _: None) -> int:
    return carrying.carry(path, place.dsn, NAME, "n1", also, lambda *_: None)


def structure(path: Path) -> Mapping[str, Sequence[tuple[str, str, bool]]]:
    """The columns of each table: name, type, and whether it may be NULL."""
    with reading(path) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ).fetchall()
        return {
            table: [
                (name, kind, not required and not key)
                for _, name, kind, required, _, key in connection.execute(
                    f"PRAGMA table_info({table})"
                )
            ]
            for (table,) in tables
        }


def contents(place: Path | PostgresPlace, table: str, columns: Sequence[str]) -> list[Any]:
    with reading(place) as connection:
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
    return sorted((tuple(row) for row in rows), key=repr)


WHOLE = st.integers(-(2**63), 2**63 - 1)
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "TEXT": st.text(max_size=20)
    | st.sampled_from(["\\N", "\\.", "a\tb\n\r\\", "\0", "\ufdd0", ""]),
    "INTEGER": WHOLE,
    "REAL": st.floats(allow_nan=False, allow_infinity=False),
}


def values(kind: str, nullable: bool) -> st.SearchStrategy[Any]:
    return VALUES[kind] | st.none() if nullable else VALUES[kind]


def emptied(place: PostgresPlace, tables: Sequence[str]) -> None:
    with closing(psycopg_of(place)) as connection:
        connection.execute("DROP TABLE IF EXISTS ledger_carried")
        for table in tables:
            connection.execute(f"TRUNCATE {table}".encode())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_row_of_any_table_arrives_as_it_is(
    path: Path, place: PostgresPlace, data: st.DataObject
) -> None:
    tables = structure(path)
    assert {"documents", "sources", "notes", "actions", "orders"} < set(tables)
    with closing(sqlite3.connect(path)) as connection:
        for table, columns in tables.items():
            connection.execute(f"DELETE FROM {table}")
            row = st.tuples(*(values(kind, nullable) for _, kind, nullable in columns))
            for one in data.draw(st.lists(row, max_size=4), label=table):
                marks = ", ".join("?" * len(columns))
                connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", one)
        connection.commit()
    emptied(place, list(tables))
    carry(path, place)
    for table, columns in tables.items():
        names = [name for name, *_ in columns]
        assert contents(place, table, names) == contents(path, table, names), table


def document(path: Path, id_: str = "1", state: str = "delivered") -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO documents (source, id, revision, label, state, seen_at, changed_at)"
            " VALUES ('box', ?, '', 'x', ?, 1, 2)",
            (id_, state),
        )
        connection.commit()


def test_numbers_go_on_after_all_that_were_ever_given(path: Path, place: PostgresPlace) -> None:
    insert = (
        "INSERT INTO orders (action, verb, source, id, revision, company, kind, folder)"
        " VALUES (1, 'retry', 's', 'i', '', '', '', '')"
    )
    with closing(sqlite3.connect(path)) as connection:
        for _ in range(3):
            connection.execute(insert)
        # Its number is never used again.
        connection.execute("DELETE FROM orders WHERE number = 3")
        connection.execute(
            "INSERT INTO actions (number, at, who, action, subject) VALUES (7, 1, 'a', 'b', 'c')"
        )
        connection.commit()
    carry(path, place)
    with closing(psycopg_of(place)) as target:
        number = target.execute(f"{insert} RETURNING number".encode()).fetchone()
        assert number == (4,)
        action = target.execute(
            "INSERT INTO actions (at, who, action, subject) VALUES (1, 'a', 'b', 'c')"
            " RETURNING number"
        ).fetchone()
        assert action == (8,)


def test_what_was_delivered_is_the_nodes_from_now_on(path: Path, place: PostgresPlace) -> None:
    document(path, "1")
    document(path, "2", "waiting")
    assert carry(path, place) == 2
    assert contents(place, "documents", ["id", "node"]) == [("1", "n1"), ("2", "")]


def test_it_is_known_which_ledger_was_carried_over_and_none_is_added(
    path: Path, place: PostgresPlace
) -> None:
    assert carrying.look(place.dsn) == carrying.Found("", is_used=False)
    document(path)
    carry(path, place)
    assert carrying.look(place.dsn) == carrying.Found(NAME, is_used=True)
    with pytest.raises(StateError, match="two ledgers can't be made one"):
        carry(path, place)


def test_what_polls_of_nodes_have_left_gives_way(path: Path, place: PostgresPlace) -> None:
    with closing(psycopg_of(place)) as target:
        target.execute("INSERT INTO sources (name, poll) VALUES ('box', 3)")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO sources (name, poll) VALUES ('box', 9)")
        connection.commit()
    carry(path, place)
    assert contents(place, "sources", ["name", "poll"]) == [("box", 9)]


def test_what_fails_leaves_nothing(path: Path, place: PostgresPlace) -> None:
    document(path)

    def refuse(_: Any) -> None:
        raise StateError("it", "does not want to")

    with pytest.raises(StateError, match="does not want to"):
        carry(path, place, refuse)
    assert carrying.look(place.dsn) == carrying.Found("", is_used=False)
    assert contents(place, "documents", ["id"]) == []


def test_a_database_that_is_away_or_slack_is_said(path: Path) -> None:
    with pytest.raises(StateError, match=r"can't be carried over: PostgreSQL can't be reached"):
        carrying.look("host=127.0.0.1 port=1 dbname=x user=x")
    with pytest.raises(StateError, match="no connection string"):
        carrying.look("geheim")
