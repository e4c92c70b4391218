"""Units that several nodes publish: at the same moment, and with other intervals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster.database import Database
from tests.helpers.clustering import add_node, prepared, publish, rows

NODES = ["a", "b", "c", "d"]
SLICES = [f"{number:03b}" for number in range(8)]
ROUNDS = 25


@pytest.fixture
def databases(postgres: str) -> Iterator[list[Database]]:
    """A connection of each node."""
    with ExitStack() as stack:
        found = [prepared(postgres) for _ in NODES]
        for node, one in zip(NODES, found, strict=True):
            stack.callback(one.close)
            add_node(one, node)
        yield found


def test_nodes_that_begin_at_the_same_moment_share_one_table(databases: list[Database]) -> None:
    together = threading.Barrier(len(NODES))
    failures: list[Exception] = []

    def begin(node: str, database: Database) -> None:
        try:
            for number in range(ROUNDS):
                together.wait(100)
                publish(database, f"s{number}", SLICES, node=node)
        except Exception as error:  # noqa: BLE001 - the test tells
            failures.append(error)
            together.abort()

    threads = [
        threading.Thread(target=begin, args=one) for one in zip(NODES, databases, strict=True)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures
    found = rows(databases[0], "SELECT count(*), count(DISTINCT name) FROM cluster_units")
    assert found == [(ROUNDS * len(SLICES),) * 2]


def test_a_shorter_interval_is_in_force_at_once_and_a_longer_one_from_the_next_poll_on(
    databases: list[Database],
) -> None:
    database = databases[0]
    due = "SELECT every, extract(epoch FROM due - now()) < 70 FROM cluster_units"
    publish(database, "s", ["0"], every=300.0)
    database.run(
        lambda connection: connection.execute(
            "UPDATE cluster_units SET due = now() + interval '300 s'"
        )
    )
    assert rows(database, due) == [(300.0, False)]
    publish(database, "s", ["0"], every=60.0)
    assert rows(database, due) == [(60.0, True)]
    publish(database, "s", ["0"], every=600.0)
    assert rows(database, due) == [(600.0, True)]
