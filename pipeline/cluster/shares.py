"""Shares: divides the connections that a source bears among the nodes that are alive.

Each node writes down how many it may use, in turn with the others; it takes what is free, and no
more than its share. So the sum is never above what the source bears: a node that has to give some
up writes the smaller number once it uses no more, and one that hangs keeps its own until it is
given up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from pipeline.cluster.database import Connection
from pipeline.cluster.nodes import ALIVE
from pipeline.cluster.schema import SHARES_LOCK

#: Seconds by which a pause has to be longer than the one that is known for the others to be told.
WORTH_TELLING = 0.5


class Ask(Struct, frozen=True):
    """What a source bears from all nodes, and what of it may be in use on this one now."""

    most: int
    used: int


class Grant(Struct, frozen=True):
    """How many connections a node may use from now on.

    settled: whether nothing that is in use is still to be given up.
    """

    slots: int
    settled: bool = True


def exchange(
    connection: Connection, node: str, asks: Mapping[str, Ask], pauses: Mapping[str, float]
) -> tuple[dict[str, Grant], dict[str, float]]:
    """Write down what this node uses of each source that is divided, and say what it may use.

    pauses: of all sources, whether divided or not. Returns the grants and the pauses in force.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (SHARES_LOCK,))
    told = _pauses(connection, pauses)
    rows = connection.execute(
        "SELECT s.source, s.node, s.slots FROM cluster_shares s JOIN cluster_nodes n USING (node)"  # noqa: S608 - constants only
        f" WHERE ({ALIVE} OR s.node = %s) AND s.source = ANY (%s)"
        " ORDER BY s.source, s.joined, s.node",
        (node, list(asks)),
    ).fetchall()
    connection.execute(
        "DELETE FROM cluster_shares WHERE node = %s AND source <> ALL (%s)", (node, list(asks))
    )
    granted: dict[str, Grant] = {}
    written: list[tuple[str, str, int]] = []
    for source, ask in asks.items():
        shares = [(row[1], row[2]) for row in rows if row[0] == source]
        slots = share(node, shares, ask.most)
        granted[source] = Grant(slots, settled=ask.used <= slots)
        written.append((source, node, max(slots, ask.used)))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO cluster_shares (source, node, slots) SELECT %s, node, %s FROM"
            " cluster_nodes WHERE node = %s ON CONFLICT (source, node) DO UPDATE SET slots ="
            " excluded.slots",
            [(source, slots, name) for source, name, slots in written],
        )
    return granted, told


def share(node: str, shares: Sequence[tuple[str, int]], most: int) -> int:
    """The connections that a node may use: its share of `most`, as far as they are free.

    shares: the nodes that are alive in the order of their coming, with what each has written down;
    this one may not be among them yet. Of few connections the first nodes have one each.
    """
    names = [name for name, _ in shares]
    if node not in names:
        names.append(node)
    place, count = names.index(node), len(names)
    fair = most // count + (place < most % count)
    free = most - sum(slots for name, slots in shares if name != node)
    return max(min(fair, free), 0)


def _pauses(connection: Connection, pauses: Mapping[str, float]) -> dict[str, float]:
    """Tell the others of pauses that sources have asked for; the pauses in force, by source."""
    known = {
        row[0]: row[1]
        for row in connection.execute(
            "SELECT source, extract(epoch FROM until - now())::float8 FROM cluster_pauses"
            " WHERE until > now()"
        ).fetchall()
    }
    for source, seconds in pauses.items():
        if seconds > known.get(source, 0.0) + WORTH_TELLING:
            connection.execute(
                "INSERT INTO cluster_pauses (source, until) VALUES (%s, now() + %s * interval"
                " '1 second') ON CONFLICT (source) DO UPDATE SET until ="
                " greatest(cluster_pauses.until, excluded.until)",
                (source, seconds),
            )
            known[source] = seconds
    return known
