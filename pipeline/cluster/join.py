"""Join: makes a process one node of a cluster for as long as a block runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.to_thread

from pipeline.cluster.cluster import Cluster
from pipeline.cluster.database import Database, DatabaseLost
from pipeline.cluster.nodes import Membership, identity
from pipeline.cluster.schema import prepare
from pipeline.errors import StateError

#: Seconds for which the start waits for the database.
PATIENCE = 20.0


@asynccontextmanager
async def open_cluster(
    dsn: str, node: str, version: str, abandon: Callable[[StateError], None] = lambda _: None
) -> AsyncIterator[Cluster]:
    """Join the cluster as a node, and keep that place while the block runs.

    abandon: called in a thread when the node has to end its work, and the block has been ended by a
    StateError; it has to end the process should that hang. Raises StateInUse where another process
    has the name, StateError where the database can't be used.
    """
    heartbeat = Database(dsn, f"synqup {node}: heartbeat")
    lost = anyio.Event()
    failure: list[StateError] = []
    loop = asyncio.get_running_loop()

    def on_lost(error: StateError) -> None:
        failure.append(error)
        with suppress(RuntimeError):  # its loop is closed
            loop.call_soon_threadsafe(lost.set)
        abandon(error)

    membership = Membership(heartbeat, identity(node, version), on_lost)
    await _patiently(lambda: prepare(heartbeat))
    await _patiently(membership.register)
    membership.start()
    cluster = Cluster(dsn, membership)

    async def watch() -> None:
        await lost.wait()
        raise failure[0]

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            try:
                yield cluster
            finally:
                group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(membership.close)


async def _patiently(work: Callable[[], None]) -> None:
    """Do something with the database, which may be starting itself. StateError if it is not."""
    until = anyio.current_time() + PATIENCE
    while True:
        try:
            await anyio.to_thread.run_sync(work)
        except DatabaseLost as error:
            if anyio.current_time() > until:
                raise StateError(error.subject, error.reason, error.remedy) from None
            await anyio.sleep(1)
        else:
            return
