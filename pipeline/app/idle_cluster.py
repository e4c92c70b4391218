"""Idle cluster: the database of a cluster for commands during which no node may be at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import StateError

if TYPE_CHECKING:
    from pipeline.cluster.database import Database


@contextmanager
def idle_cluster(dsn: str) -> Iterator[Database]:
    """A connection to the database. StateError where a node is at work, or it can't be reached."""
    from pipeline.cluster.claims import alive  # noqa: PLC0415 - of an extra
    from pipeline.cluster.database import Database, DatabaseLost  # noqa: PLC0415 - as above
    from pipeline.cluster.nodes import STALLED  # noqa: PLC0415 - as above

    database = Database(dsn, "synqup command")
    try:
        if nodes := database.run(alive):
            raise StateError(
                f"node {nodes[0]}",
                "it is at work, and what this command is to change it has in hand",
                "Stop all nodes, and call this again; one that was killed counts for"
                f" {STALLED:.0f} s more",
            )
        yield database
    except DatabaseLost as error:
        raise StateError(error.subject, error.reason, error.remedy) from None
    finally:
        database.close()
