"""View: what people see of a cluster is what its tables say, from a real PostgreSQL."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import msgspec
import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster import units
from pipeline.cluster.database import Database
from pipeline.cluster.planner import Planner
from pipeline.cluster.units import Ended, Failure
from pipeline.cluster.view import Viewer
from pipeline.ledger.place import PostgresPlace, open_store
from pipeline.nodes import ClusterView, NodeReport, Reason
from tests.helpers.clustering import add_node, claim, execute, prepared, publish, rows


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    open_store(PostgresPlace(postgres)).close()
    found = prepared(postgres)
    yield found
    found.close()


def view(database: Database) -> ClusterView:
    return database.run(Viewer().read)


def started(database: Database, seconds: float) -> None:
    """Let all nodes and parts be there since so many seconds ago."""
    execute(database, "UPDATE cluster_nodes SET started = now() - %s * interval '1 s'", seconds)
    execute(database, "UPDATE cluster_units SET since = now() - %s * interval '1 s'", seconds)


def stage(database: Database, label: str, node: str, age: float) -> None:
    execute(
        database,
        "INSERT INTO documents (source, id, revision, label, state, node, seen_at, changed_at)"
        " VALUES ('box', %s, '', %s, 'staged', %s, 0, extract(epoch FROM now()) - %s)",
        label, label, node, age,
    )  # fmt: skip


def test_before_the_first_start_there_is_a_database_alone(postgres: str) -> None:
    database = Database(postgres, "test")
    found = view(database)
    database.close()
    assert found.nodes == () == found.sources
    assert found.database.synchronous_commit == "on"
    assert 0 < found.database.round_trip < 10


def test_nodes_tell_what_they_have_in_hand_and_from_whom(database: Database) -> None:
    add_node(database, "n1")
    add_node(database, "n2", age=40)
    publish(database, "box", ["0", "1"], node="n1")
    publish(database, "box", ["0", "1"], node="n2")
    database.run(Planner().plan)
    claim(database, "box", "0", "n2")
    claim(database, "box", "0", "n1")
    claim(database, "box", "1", "n1")
    execute(database, "UPDATE procrastinate_jobs SET status = 'doing'")
    found = view(database)
    one, two = found.nodes
    assert (one.node, one.is_alive, two.node, two.is_alive) == ("n1", True, "n2", False)
    assert 39 < two.silence < 60
    assert [(it.source, it.slice, it.taken_from) for it in one.in_hand] == [
        ("box", "0", "n2"),
        ("box", "1", ""),
    ]
    assert two.in_hand == ()
    assert found.alive == (one,)
    assert (found.jobs.waiting, found.jobs.doing, found.jobs.stalled) == (0, 2, 2)


def test_a_poll_that_has_ended_is_in_nobodys_hand(database: Database) -> None:
    add_node(database, "n1")
    publish(database, "box", ["all"], node="n1")
    database.run(Planner().plan)
    begun = claim(database, "box", "all", "n1")
    database.run(lambda connection: units.end(connection, begun, Ended(300, 1)))
    execute(database, "UPDATE procrastinate_jobs SET status = 'doing'")
    assert view(database).nodes[0].in_hand == ()


def test_configurations_that_differ_are_told_against_that_of_most(database: Database) -> None:
    for node, parts in (("n1", "x"), ("n2", "y"), ("n3", "y")):
        add_node(database, node)
        execute(
            database,
            "UPDATE cluster_nodes SET digest = %s, parts = %s, configured = now() WHERE node = %s",
            parts, json.dumps({"company A": parts}), node,
        )  # fmt: skip
    viewer = Viewer()
    for _ in range(2):
        found = database.run(viewer.read)
        assert [one.differs for one in found.nodes] == [
            ("company A is not the same on node n2 and node n1",), (), (),
        ]  # fmt: skip
        assert found.differs_since is not None
        assert abs(found.at - found.differs_since) < 60
    execute(database, "UPDATE cluster_nodes SET heartbeat = heartbeat - interval '1 m'"
                      " WHERE node = 'n1'")  # fmt: skip
    found = database.run(viewer.read)
    assert found.differs_since is None
    assert not any(one.differs for one in found.nodes)


def test_parts_are_overdue_by_more_than_two_intervals(database: Database) -> None:
    add_node(database, "n1")
    for source in ("box", "late", "paused", "asked", "failing"):
        publish(database, source, ["0", "1"], every=100.0, node="n1")
    started(database, 3600)
    for source in ("box", "failing"):
        for slice_ in "01":
            begun = claim(database, source, slice_, "n1")
            failure = Failure("SourceError", "source failing", "it is ill", "Wait")
            ended = Ended(9000, 1, failure=failure if source == "failing" else None)
            database.run(lambda connection, b=begun, e=ended: units.end(connection, b, e))  # type: ignore[misc]
    execute(database, "UPDATE cluster_units SET ended = ended - interval '2 h'"
                      " WHERE source = 'failing'")  # fmt: skip
    execute(database, "INSERT INTO sources (name, paused_at) VALUES ('paused', 1)")
    execute(database, "INSERT INTO cluster_pauses VALUES ('asked', now() + interval '9 m')")
    claim(database, "late", "1", "n1")
    found = view(database)
    assert [(one.source, one.overdue, one.parts) for one in found.overdue] == [("late", 2, 2)]
    assert abs(found.at - 3500 - found.overdue[0].since) < 60
    assert [(one.source, one.slice, one.node) for one in found.late] == [
        ("late", "0", ""),
        ("late", "1", "n1"),
    ]
    assert 530 < found.pauses["asked"] <= 540
    by_source = {one.source: one for one in found.sources}
    assert by_source["box"].completed_at is not None
    assert by_source["failing"].failed is not None
    assert by_source["failing"].failed.reason == (
        "it is ill; there is trouble too with source failing"
    )
    assert by_source["paused"].paused_at == 1


@pytest.mark.parametrize(
    "sql",
    [
        # There was no node before.
        "UPDATE cluster_nodes SET started = now()",
        # Somebody has just had it go on, or polled.
        "UPDATE cluster_units SET wanted = now()",
        # It has asked to be left alone until now.
        "INSERT INTO cluster_pauses VALUES ('box', now())",
    ],
)
def test_nothing_is_overdue_for_times_in_which_it_could_not_be_polled(
    database: Database, sql: str
) -> None:
    add_node(database, "n1")
    publish(database, "box", ["all"], every=10.0, node="n1")
    started(database, 3600)
    assert view(database).overdue
    execute(database, sql)
    assert not view(database).overdue
    assert not view(database).late


def test_what_lies_staged_for_more_than_a_minute_is_told_with_its_node(database: Database) -> None:
    add_node(database, "n1")
    add_node(database, "n2", age=40)
    stage(database, "invoice 1", "n2/0123", 90)
    stage(database, "invoice 2", "n1", 70)
    stage(database, "invoice 3", "n1", 10)
    stage(database, "invoice 4", "n9", 100)
    found = view(database)
    assert found.staged_count == 3
    assert [(one.label, one.node, one.is_alive) for one in found.staged] == [
        ("invoice 4", "n9", False), ("invoice 1", "n2", False), ("invoice 2", "n1", True),
    ]  # fmt: skip
    assert [one.silence is None for one in found.staged] == [True, False, False]
    for number in range(50):
        stage(database, f"more {number}", "n1", 200)
    found = view(database)
    assert (found.staged_count, len(found.staged)) == (53, 20)


def test_what_a_node_tells_of_itself_is_told_on_for_a_while(database: Database) -> None:
    add_node(database, "n1")
    report = NodeReport(3.5, 10, folders={"/out": Reason(1.0, "it is full")})
    execute(
        database,
        "INSERT INTO cluster_reports VALUES ('n1', now(), %s), ('n0', now(), '{}')",
        msgspec.json.encode(report).decode(),
    )
    found = view(database)
    assert found.nodes[0].report == report
    # One that was stopped.
    assert found.left == {"n0": NodeReport()}
    execute(database, "UPDATE cluster_reports SET report = '[]'")
    assert view(database).nodes[0].report is None
    execute(database, "UPDATE cluster_reports SET at = at - interval '1 h', report = '{}'")
    assert view(database).nodes[0].report is None


def test_nothing_is_changed_by_looking(database: Database) -> None:
    add_node(database, "n1")
    publish(database, "box", ["all"], node="n1")
    before = rows(database, "SELECT txid_current_snapshot()::text, * FROM cluster_units")
    view(database)
    assert rows(database, "SELECT txid_current_snapshot()::text, * FROM cluster_units") == before


def test_ten_thousand_companies_are_seen_at_once(database: Database) -> None:
    """As many parts as sources of one company each would make: it is quick, and it is bounded."""
    add_node(database, "n1")
    for source in range(20):
        publish(database, f"s{source}", [f"{number:014b}" for number in range(500)], node="n1")
    started(database, 3600)
    execute(database, "ANALYZE")
    began = time.monotonic()
    found = view(database)
    print(f"{time.monotonic() - began:.3f} s for 10,000 parts")
    assert sum(one.overdue for one in found.overdue) == 10_000
    assert len(found.late) == 20
