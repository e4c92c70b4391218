"""What tests of the cluster share: its tables, the ledger's one that it reads, and nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.cluster import units
from pipeline.cluster.database import Connection, Database
from pipeline.cluster.schema import prepare
from pipeline.cluster.units import Claimed
from pipeline.errors import StateError

PATIENCE = 30.0

#: The ledger's table of sources, as far as the cluster reads it.
SOURCES = (
    'CREATE TABLE IF NOT EXISTS sources (name text COLLATE "C" PRIMARY KEY,'
    " paused_at double precision, paused_by text NOT NULL DEFAULT '')"
)


def prepared(dsn: str) -> Database:
    """A connection to a database that has the tables of the cluster."""
    database = Database(dsn, "test")
    prepare(database)
    execute(database, SOURCES)
    return database


def execute(database: Database, sql: str, *parameters: object) -> None:
    """Execute one statement."""
    database.run(lambda connection: connection.execute(sql.encode(), parameters) and None)


def rows(database: Database, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of one query."""
    return database.run(lambda connection: connection.execute(sql.encode(), parameters).fetchall())


def add_node(database: Database, node: str, age: float = 0.0) -> None:
    """Write a node into the table, whose heartbeat was so many seconds ago."""
    execute(
        database,
        "INSERT INTO cluster_nodes (node, instance, backend, host, version, heartbeat)"
        " VALUES (%s, %s, 0, 'h', '1', now() - %s * interval '1 s') ON CONFLICT (node)"
        " DO UPDATE SET heartbeat = excluded.heartbeat",
        node, f"of {node}", age,
    )  # fmt: skip


def publish(
    database: Database, source: str, slices: Sequence[str], *, node: str = "a",
    every: float = 300.0, sticky: bool = False,
) -> None:  # fmt: skip
    """Have units of a source."""
    database.run(
        lambda connection: units.publish(connection, node, source, slices, every, sticky=sticky)
    )


def claim(database: Database, source: str, slice_: str = "all", node: str = "a") -> Claimed:
    """Begin the poll of a unit."""
    found = database.run(lambda connection: units.claim(connection, node, source, slice_))
    assert found is not None
    return found


def eventually(check: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until something holds."""
    until = time.monotonic() + patience
    while not check():
        assert time.monotonic() < until, "it does not come to be"
        time.sleep(0.05)


def jobs(connection: Connection) -> list[tuple[str, str]]:
    """The engine's jobs: state and lock of each."""
    return connection.execute("SELECT status::text, lock FROM procrastinate_jobs").fetchall()


class Lost:
    """What a node said when it had to end."""

    def __init__(self) -> None:
        self.error: StateError | None = None
        self.told = threading.Event()

    def __call__(self, error: StateError) -> None:
        self.error = error
        self.told.set()
