"""Control by nodes: whether others of a cluster do what a command asks for, and that they poll."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import anyio.to_thread

from pipeline.app.wiring import Config, cluster_dsn
from pipeline.cluster.claims import alive
from pipeline.cluster.database import Connection, Database, DatabaseLost
from pipeline.cluster.units import due_now
from pipeline.errors import StateError

T = TypeVar("T")


class Nodes:
    """The nodes of the cluster as a command sees them that is none. Raises StateError."""

    def __init__(self, config: Config) -> None:
        self._database = Database(cluster_dsn(config), "synqup command")

    async def are_alive(self) -> bool:
        """Whether a node is alive."""
        return bool(await anyio.to_thread.run_sync(self._run, alive))

    async def poll_now(self, sources: Iterable[str]) -> None:
        """Have the nodes poll sources at once."""
        wanted = list(dict.fromkeys(sources))

        def ask(connection: Connection) -> None:
            for source in wanted:
                due_now(connection, source)

        if wanted:
            await anyio.to_thread.run_sync(self._run, ask)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def _run(self, work: Callable[[Connection], T]) -> T:
        try:
            return self._database.run(work)
        except DatabaseLost as error:
            raise StateError(error.subject, error.reason, error.remedy) from None
