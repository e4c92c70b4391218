"""Claims: an order is one node's, and another's only when that one is not alive any more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster.claims import alive, claim
from pipeline.cluster.database import Database
from pipeline.ledger.place import PostgresPlace, open_store
from tests.helpers.clustering import add_node, execute, prepared, rows


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    open_store(PostgresPlace(postgres)).close()
    found = prepared(postgres)
    add_node(found, "n1")
    add_node(found, "n2")
    yield found
    found.close()


def order(database: Database, number: int, verb: str = "retry", delivered_by: str = "") -> None:
    execute(
        database,
        "INSERT INTO orders (number, action, verb, source, id, revision, company, kind, folder)"
        " VALUES (%s, 1, %s, 'box', %s, '', '', '', '')",
        number, verb, str(number),
    )  # fmt: skip
    execute(
        database,
        "INSERT INTO documents (source, id, revision, label, state, node, seen_at, changed_at)"
        " VALUES ('box', %s, '', 'l', 'delivered', %s, 0, 0)",
        str(number), delivered_by,
    )  # fmt: skip


def claimed(database: Database, node: str, *numbers: int) -> set[int]:
    return database.run(lambda connection: claim(connection, node, numbers))


def test_an_order_is_one_nodes_as_long_as_it_is_alive(database: Database) -> None:
    for number in (1, 2, 3):
        order(database, number)
    assert claimed(database, "n1", 1, 2) == {1, 2}
    assert claimed(database, "n2", 1, 2, 3) == {3}
    assert claimed(database, "n1", 1, 2, 3) == {1, 2}
    add_node(database, "n1", age=60)
    assert claimed(database, "n2", 1, 2, 3) == {1, 2, 3}
    # It comes back.
    assert claimed(database, "n1", 1, 2, 3) == set()


def test_what_has_ended_is_nobodys(database: Database) -> None:
    order(database, 1)
    assert claimed(database, "n1", 1) == {1}
    execute(database, "UPDATE orders SET ended_at = 1")
    assert claimed(database, "n1", 1, 9) == set()
    assert rows(database, "SELECT * FROM cluster_orders") == []


@pytest.mark.parametrize("node", ["n1", "n1/0123456789"])
def test_what_is_delivered_again_is_for_whoever_has_the_copy(database: Database, node: str) -> None:
    order(database, 1, "redeliver", node)
    assert claimed(database, "n2", 1) == set()
    assert claimed(database, "n1", 1) == {1}
    order(database, 2, "redeliver", node)
    add_node(database, "n1", age=60)
    assert claimed(database, "n2", 1, 2) == {1, 2}
    order(database, 3, "redeliver", "gone")
    assert claimed(database, "n2", 3) == {3}


def test_alive_are_those_whose_heart_beats(database: Database) -> None:
    add_node(database, "n1", age=60)
    assert database.run(alive) == ["n2"]
