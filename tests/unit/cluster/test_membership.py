"""Nodes: one process has a name, its heart beats, and it ends where it reaches nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from psycopg.conninfo import make_conninfo

from pipeline.cluster.database import Database, DatabaseLost
from pipeline.cluster.nodes import STALLED, Membership, identity
from pipeline.errors import StateInUse
from tests.helpers.clustering import Lost, eventually, execute, prepared, rows
from tests.helpers.half_open import way_to
from tests.helpers.postgres import PostgresServer


@contextmanager
def node(dsn: str, name: str, lost: Lost | None = None) -> Iterator[Membership]:
    one = Membership(Database(dsn, name), identity(name, "1"), lost or Lost())
    one.register()
    one.start()
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    found = prepared(postgres)
    yield found
    found.close()


def test_nodes_see_each_other(postgres: str, database: Database) -> None:
    with node(postgres, "a") as a, node(postgres, "b") as b:
        a.publish({})
        eventually(lambda: set(a.nodes) == {"a", "b"})
        assert a.is_alive("b")
        assert b.is_alive("b")
        assert not a.is_alive("c")
    assert rows(database, "SELECT node FROM cluster_nodes") == []


def test_a_second_process_of_a_name_is_refused(postgres: str, database: Database) -> None:
    with node(postgres, "a"), pytest.raises(StateInUse, match=r"node a: another process.*at work"):
        Membership(Database(postgres, "a"), identity("a", "1"), Lost()).register()
    # It is free at once when that one has ended.
    with node(postgres, "a"):
        assert len(rows(database, "SELECT 1 FROM cluster_nodes")) == 1


def test_a_process_that_was_killed_leaves_its_name(postgres: str, database: Database) -> None:
    killed = Database(postgres, "a")
    Membership(killed, identity("a", "1"), Lost()).register()
    killed.close()
    with node(postgres, "a"):
        assert len(rows(database, "SELECT 1 FROM cluster_nodes")) == 1


def test_a_silent_process_loses_its_name_and_ends(postgres: str, database: Database) -> None:
    lost = Lost()
    silent = Membership(Database(postgres, "a"), identity("a", "1"), lost)
    silent.register()
    execute(
        database,
        f"UPDATE cluster_nodes SET heartbeat = now() - interval '{STALLED + 1} seconds'",
    )
    with node(postgres, "a"):
        # It wakes up.
        silent.start()
        assert lost.told.wait(20)
        assert isinstance(lost.error, StateInUse)
        silent.close()
        assert len(rows(database, "SELECT 1 FROM cluster_nodes")) == 1


def test_a_session_that_broke_is_made_anew(postgres: str, database: Database) -> None:
    lost = Lost()
    with node(postgres, "a", lost) as a:
        execute(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'a'",
        )
        a.publish({"x": "1"})
        eventually(lambda: rows(database, "SELECT parts FROM cluster_nodes") == [({"x": "1"},)])
        assert not lost.told.is_set()
        with pytest.raises(StateInUse):
            Membership(Database(postgres, "a"), identity("a", "1"), Lost()).register()


def test_a_table_that_was_emptied_mends_itself(postgres: str, database: Database) -> None:
    with node(postgres, "a") as a:
        a.publish({"x": "1"})
        eventually(lambda: len(rows(database, "SELECT 1 FROM cluster_nodes")) == 1)
        execute(database, "TRUNCATE cluster_nodes CASCADE")
        a.publish({"x": "2"})
        eventually(lambda: rows(database, "SELECT parts FROM cluster_nodes") == [({"x": "2"},)])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["half open", "cut"])
def test_a_node_that_reaches_nobody_ends_in_time(
    postgres_server: PostgresServer, postgres: str, how: str, database: Database
) -> None:
    lost = Lost()
    with ExitStack() as stack:
        way = stack.enter_context(way_to(postgres_server.port))
        dsn = make_conninfo(postgres, host="127.0.0.1", port=way.port)
        stack.enter_context(node(dsn, "a", lost))
        way.mute.set() if how == "half open" else way.cut()
        began = time.monotonic()
        assert lost.told.wait(30)
        # Its heart may have beaten just before; the others give it up at STALLED.
        assert time.monotonic() - began < STALLED
        assert "has not reached the cluster's database for 1" in str(lost.error)


@pytest.mark.slow
def test_a_statement_that_is_not_answered_ends(
    postgres_server: PostgresServer, postgres: str
) -> None:
    with way_to(postgres_server.port) as way:
        database = Database(make_conninfo(postgres, host="127.0.0.1", port=way.port), "x", 1.0)
        assert rows(database, "SELECT 1") == [(1,)]
        way.mute.set()
        began = time.monotonic()
        with pytest.raises(DatabaseLost):
            rows(database, "SELECT 1")
        assert time.monotonic() - began < 10
        way.mute.clear()
        assert rows(database, "SELECT 2") == [(2,)]
        database.close()


def test_differences_are_named(postgres: str, database: Database) -> None:
    with node(postgres, "a") as a, node(postgres, "b") as b:
        b.publish({"company X": "1", "delivery": "1"})
        eventually(
            lambda: len(rows(database, "SELECT 1 FROM cluster_nodes WHERE digest > ''")) == 1
        )
        a.publish({"company X": "1", "company Y": "1", "delivery": "2"})
        eventually(lambda: bool(a.differences))
        assert list(a.differences["b"]) == [
            "node b does not have company Y",
            "delivery is not the same on node a and node b",
        ]
        b.publish({"company X": "1", "company Y": "1", "delivery": "2"})
        eventually(lambda: len(set(rows(database, "SELECT digest FROM cluster_nodes"))) == 1)
        a.publish({"company X": "1", "company Y": "1", "delivery": "2"})
        eventually(lambda: not a.differences)
