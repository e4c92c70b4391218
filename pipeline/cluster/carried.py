"""Carried cursors: has the nodes go on with each list where one machine alone has left it."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.cluster.slices import ALL
from pipeline.ledger.connection import Connection

#: Seconds between two polls, until a node that serves the source says how many there are.
EVERY = 300.0


def keep_cursors(sources: Iterable[str], connection: Connection) -> None:
    """Have units of these sources as the ledger in the same database has left them.

    What waits was listed by the poll that came before, whose number goes with the cursor.
    """
    for name in sources:
        connection.execute(
            "INSERT INTO cluster_units (source, slice, every, poll, cursor)"
            " SELECT name, ?2, ?3, poll, cursor FROM sources WHERE name = ?1 AND cursor <> ''"
            " ON CONFLICT (source, slice) DO NOTHING",
            (name, ALL, EVERY),
        )
