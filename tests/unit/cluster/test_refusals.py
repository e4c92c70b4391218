"""Units whose documents a folder refuses on one node: they go to a node that can deliver them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster import units
from pipeline.cluster.database import Database
from pipeline.cluster.planner import Planner
from pipeline.cluster.units import LOOK_AGAIN, Ended
from tests.helpers.clustering import add_node, claim, execute, prepared, publish, rows

NODES = ("a", "b", "c")


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    found = prepared(postgres)
    for node in NODES:
        add_node(found, node)
        publish(found, "s", ["0", "1"], node=node)
    yield found
    found.close()


def poll(database: Database, node: str, *, refused: bool, slice_: str = "0") -> None:
    """Let a node poll a unit to its end."""
    claimed = claim(database, "s", slice_, node)
    ended = Ended(300, 1, is_refused=refused)
    assert database.run(lambda connection: units.end(connection, claimed, ended))


def due(database: Database, slice_: str = "0") -> bool:
    sql = "SELECT due <= now() FROM cluster_units WHERE slice = %s"
    return bool(rows(database, sql, slice_)[0][0])


def planned(database: Database, slice_: str = "0") -> str:
    """The node for which a job of the unit is made when it is due; "" for any."""
    execute(database, "DELETE FROM procrastinate_jobs")
    execute(database, "UPDATE cluster_units SET due = now() WHERE slice = %s", slice_)
    database.run(Planner().plan)
    sql = "SELECT args ->> 'node' FROM procrastinate_jobs WHERE args ->> 'slice' = %s"
    return str(rows(database, sql, slice_)[0][0])


def completed(database: Database) -> bool:
    sql = "SELECT completed IS NOT NULL FROM cluster_units WHERE slice = '0'"
    return bool(rows(database, sql)[0][0])


def let_pass(database: Database, seconds: float) -> None:
    execute(database, f"UPDATE cluster_refusals SET at = at - interval '{seconds} s'")


def test_a_unit_that_one_node_can_t_deliver_is_another_s_at_once(database: Database) -> None:
    poll(database, "a", refused=True)
    assert due(database)
    # It is not complete before somebody has tried who may see the folder.
    assert not completed(database)
    assert {planned(database) for _ in range(20)} <= {"b", "c"}
    # Of no other unit anything is said.
    assert planned(database, "1") == ""
    poll(database, "b", refused=False)
    assert not due(database)
    assert completed(database)
    # It stays with the one that can.
    assert {planned(database) for _ in range(20)} == {"b"}


def test_what_nobody_can_deliver_waits_for_its_interval_and_is_tried_by_turns(
    database: Database,
) -> None:
    tried = ["a"]
    poll(database, "a", refused=True)
    for _ in NODES[1:]:
        assert due(database)
        tried.append(planned(database))
        poll(database, tried[-1], refused=True)
    assert sorted(tried) == list(NODES)
    assert not due(database)
    assert completed(database)
    # From now on one node at each interval, whoever has not tried the longest.
    for node in tried:
        assert planned(database) == node
        poll(database, node, refused=True)
        assert not due(database)


def test_a_node_is_given_the_unit_again_after_a_while(database: Database) -> None:
    poll(database, "a", refused=True)
    assert planned(database) != "a"
    let_pass(database, LOOK_AGAIN + 1)
    assert planned(database) == ""


def test_a_node_that_can_deliver_again_says_so(database: Database) -> None:
    for node in NODES:
        poll(database, node, refused=True)
    poll(database, "b", refused=False)
    assert {planned(database) for _ in range(20)} == {"b"}


@pytest.mark.parametrize("why", ["silent", "without a share", "without the part", "gone"])
def test_no_job_waits_for_a_node_that_can_t_take_it(database: Database, why: str) -> None:
    execute(database, "DELETE FROM cluster_nodes WHERE node = 'c'")
    if why == "silent":
        add_node(database, "b", age=20)
    elif why == "without a share":
        execute(database, "INSERT INTO cluster_shares (source, node, slots) VALUES ('s', 'b', 0)")
    elif why == "without the part":
        publish(database, "s", ["1"], node="b")
    else:
        execute(database, "DELETE FROM cluster_nodes WHERE node = 'b'")
    poll(database, "a", refused=True)
    assert not due(database)
    assert completed(database)
    assert planned(database) == "a"


def test_a_unit_that_stays_with_a_node_leaves_it_as_well(database: Database) -> None:
    for node in NODES:
        publish(database, "t", ["all"], node=node, sticky=True)
    claimed = claim(database, "t", node="a")
    database.run(lambda connection: units.end(connection, claimed, Ended(300, 1, is_refused=True)))
    database.run(Planner().plan)
    sql = "SELECT args ->> 'node' FROM procrastinate_jobs WHERE args ->> 'source' = 't'"
    assert rows(database, sql)[0][0] in {"b", "c"}


def test_what_a_node_says_that_was_given_up_is_not_taken(database: Database) -> None:
    claimed = claim(database, "s", "0", "a")
    claim(database, "s", "0", "b")
    ended = Ended(300, 1, is_refused=True)
    assert not database.run(lambda connection: units.end(connection, claimed, ended))
    assert rows(database, "SELECT * FROM cluster_refusals") == []


def test_what_a_folder_refuses_goes_with_its_node_and_its_unit(database: Database) -> None:
    poll(database, "a", refused=True)
    poll(database, "b", refused=True, slice_="1")
    execute(database, "DELETE FROM cluster_nodes WHERE node = 'a'")
    for node in ("b", "c"):
        publish(database, "s", ["0"], node=node)
    assert rows(database, "SELECT * FROM cluster_refusals") == []
