"""Sight: one node's own part in what is seen of its cluster, on a connection for nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import anyio
import anyio.to_thread
import msgspec

from pipeline.cluster.claims import claim
from pipeline.cluster.database import Connection, Database, DatabaseLost
from pipeline.cluster.nodes import FORGET
from pipeline.cluster.telling import Telling
from pipeline.cluster.units import due_now
from pipeline.cluster.view import Viewer
from pipeline.nodes import ClusterView, NodeReport

T = TypeVar("T")


class Sight:
    """Tells the others what only this node knows, and reads what is seen of all. See `view`."""

    def __init__(self, dsn: str, node: str) -> None:
        self.node = node
        self._database = Database(dsn, f"synqup {node}: view")
        self._viewer = Viewer()
        #: The turn of one node to tell people of what is wrong.
        self.telling = Telling(Database(dsn, f"synqup {node}: alerts"), node)

    async def view(self) -> ClusterView:
        """What is seen now. Raises DatabaseLost, StateError."""
        return await self._do(self._viewer.read)

    async def report(self, report: NodeReport) -> None:
        """Tell the others what this node knows. Raises DatabaseLost, StateError."""
        text = msgspec.json.encode(report).decode()

        def write(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO cluster_reports (node, at, report) VALUES (%s, now(), %s)"
                " ON CONFLICT (node) DO UPDATE SET at = excluded.at, report = excluded.report",
                (self.node, text),
            )
            connection.execute(
                f"DELETE FROM cluster_reports WHERE at < now() - interval '{FORGET} days'"  # noqa: S608 - a constant
            )

        await self._do(write)

    async def claim_orders(self, numbers: Sequence[int]) -> set[int]:
        """Claim orders for this node, by their numbers; those that are its. Raises DatabaseLost."""
        return await self._do(lambda connection: claim(connection, self.node, numbers))

    async def poll_now(self, source: str) -> None:
        """Have all parts of a source polled at once, by whoever can; where that fails, later."""
        with suppress(DatabaseLost):
            await self._do(lambda connection: due_now(connection, source))

    def close(self) -> None:
        """Close the connections. It blocks, for a moment."""
        self._database.close()
        self.telling.close()

    async def _do(self, work: Callable[[Connection], T]) -> T:
        # What was begun is ended before another has the connection.
        with anyio.CancelScope(shield=True):
            result = await anyio.to_thread.run_sync(self._database.run, work)
        return result  # noqa: RET504 - mypy takes it that the scope may end the block early
