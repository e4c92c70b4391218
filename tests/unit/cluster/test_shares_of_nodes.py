"""Shares: the connections of a source, among the nodes that are alive."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster.database import Database
from pipeline.cluster.shares import Ask, Grant, exchange, share
from tests.helpers.clustering import add_node, prepared, rows


def ask(database: Database, node: str, most: int, used: int = 0) -> Grant:
    """One exchange of a node that polls the source s."""
    granted, _ = database.run(
        lambda connection: exchange(connection, node, {"s": Ask(most, used)}, {})
    )
    return granted["s"]


def tell(database: Database, node: str, pause: float = 0.0) -> float:
    """Tell of a pause of the source s; the one in force."""
    _, told = database.run(lambda connection: exchange(connection, node, {}, {"s": pause}))
    return told.get("s", 0.0)


@given(st.integers(0, 30), st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_no_share_is_more_than_what_is_free(most: int, written: list[int]) -> None:
    shares = [(str(number), slots) for number, slots in enumerate(written)]
    for name, _ in shares:
        others = sum(slots for node, slots in shares if node != name)
        granted = share(name, shares, most)
        assert granted == 0 or granted + others <= most


@given(st.integers(1, 30), st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_nodes_that_come_and_shrink_in_any_order_never_exceed_it(
    most: int, turns: list[str]
) -> None:
    written: dict[str, int] = {}
    using: dict[str, int] = {}
    for node in turns:
        # What it was granted before may be in use until it asks again.
        used = using.get(node, 0)
        granted = share(node, list(written.items()), most)
        written[node] = max(granted, used)
        using[node] = granted
        assert sum(max(written[one], using[one]) for one in written) <= most
    assert sum(written.values()) <= most


def test_three_nodes_of_which_one_hangs(postgres: str) -> None:
    database = prepared(postgres)
    for node in "abc":
        add_node(database, node)
    assert ask(database, "a", 4).slots == 4
    # The second has nothing before the first has given something up, and said so.
    assert ask(database, "b", 4).slots == 0
    assert ask(database, "a", 4, used=4) == Grant(2, settled=False)
    assert ask(database, "b", 4).slots == 0
    assert ask(database, "a", 4, used=2).slots == 2
    assert ask(database, "b", 4).slots == 2
    assert ask(database, "c", 4).slots == 0
    assert ask(database, "a", 4, used=2).slots == 2  # the first of them has one more
    assert ask(database, "b", 4, used=2) == Grant(1, settled=False)
    assert ask(database, "b", 4, used=1).slots == 1
    assert ask(database, "c", 4).slots == 1
    # b hangs: it keeps its own until it is given up, and then the others have it.
    add_node(database, "b", age=14)
    assert ask(database, "a", 4, used=2).slots == 2
    assert ask(database, "c", 4, used=1).slots == 1
    add_node(database, "b", age=16)
    assert ask(database, "a", 4, used=2).slots == 2
    assert ask(database, "c", 4, used=1).slots == 2
    # It comes back: it counts again, and has nothing until the others make room.
    add_node(database, "b")
    assert ask(database, "b", 4).slots == 0
    database.close()


def test_of_one_connection_one_node_has_it_and_keeps_it(postgres: str) -> None:
    database = prepared(postgres)
    add_node(database, "b")
    assert ask(database, "b", 1).slots == 1
    add_node(database, "a")
    for _ in range(3):
        assert ask(database, "a", 1).slots == 0
        assert ask(database, "b", 1, used=1).slots == 1
    add_node(database, "b", age=20)
    assert ask(database, "a", 1).slots == 1
    database.close()


def test_a_node_whose_row_is_gone_writes_nothing(postgres: str) -> None:
    database = prepared(postgres)
    ask(database, "a", 4)
    assert rows(database, "SELECT * FROM cluster_shares") == []
    database.close()


def test_a_pause_is_told_to_the_others_and_not_prolonged_by_them(postgres: str) -> None:
    database = prepared(postgres)
    for node in "ab":
        add_node(database, node)
    assert tell(database, "b") == 0.0
    tell(database, "a", 60.0)
    heard = tell(database, "b")
    assert heard == pytest.approx(60.0, abs=5.0)
    until = rows(database, "SELECT until FROM cluster_pauses")
    tell(database, "b", heard)
    assert rows(database, "SELECT until FROM cluster_pauses") == until
    tell(database, "b", 90.0)
    assert tell(database, "a") == pytest.approx(90.0, abs=5.0)
    database.close()
