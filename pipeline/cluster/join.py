"""Join: makes a process one node of a cluster for as long as a block runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from pipeline.cluster.cluster import Cluster
from pipeline.cluster.database import Database, DatabaseLost
from pipeline.cluster.generation import (
    INTERVAL,
    DatabaseOlder,
    begin_generation,
    go_on_with_generation,
    note_older,
)
from pipeline.cluster.nodes import Membership, identity
from pipeline.cluster.schema import prepare
from pipeline.errors import StateError

log = structlog.get_logger(__name__)

#: Seconds that a node which ends gives to a note in the shared folder.
NOTING = 2.0
#: Seconds that a connection which nobody needs is given to be closed.
CLOSING = 1.0
#: Seconds for which the start waits for the database.
PATIENCE = 20.0


@asynccontextmanager
async def open_cluster(
    dsn: str,
    node: str,
    version: str,
    abandon: Callable[[StateError], None] = lambda _: None,
    shared_dir: Path | None = None,
) -> AsyncIterator[Cluster]:
    """Join the cluster as a node, and keep that place while the block runs.

    abandon: called in a thread when the node has to end its work, and the block has been ended by a
    StateError; it has to end the process should that hang. shared_dir: tells whether the database
    is older than it was; None where that is not asked. Raises StateInUse where another process has
    the name, DatabaseOlder, or StateError where the database can't be used.
    """
    heartbeat = Database(dsn, f"synqup {node}: heartbeat")
    lost = anyio.Event()
    failure: list[StateError] = []
    loop = asyncio.get_running_loop()

    def on_lost(error: StateError) -> None:
        failure.append(error)
        if isinstance(error, DatabaseOlder) and shared_dir is not None:
            _remember(shared_dir)
        with suppress(RuntimeError):  # its loop is closed
            loop.call_soon_threadsafe(lost.set)
        abandon(error)

    membership = Membership(heartbeat, identity(node, version), on_lost)
    await _patiently(lambda: prepare(heartbeat))
    if shared_dir is not None:
        await _patiently(partial(begin_generation, shared_dir, heartbeat))
    await _patiently(membership.register)
    membership.start()
    cluster = Cluster(dsn, membership)

    async def watch() -> None:
        await lost.wait()
        raise failure[0]

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            if shared_dir is not None:
                group.start_soon(
                    _count, shared_dir, Database(dsn, f"synqup {node}: count"), on_lost
                )
            try:
                yield cluster
            finally:
                group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(membership.close)


async def _count(folder: Path, database: Database, on_older: Callable[[StateError], None]) -> None:
    """Raise the generation again and again; on_older: called in a thread if it went back."""
    try:
        while True:
            await anyio.sleep(INTERVAL)
            try:
                # The folder may hang, and has nothing to do with the heartbeat.
                work = partial(go_on_with_generation, folder, database)
                await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
            except DatabaseOlder as error:
                await anyio.to_thread.run_sync(on_older, error, abandon_on_cancel=True)
            except (DatabaseLost, StateError, OSError) as error:
                log.warning("the generation can't be raised", reason=str(error))
    finally:
        with anyio.move_on_after(CLOSING, shield=True):
            await anyio.to_thread.run_sync(database.close, abandon_on_cancel=True)


def _remember(folder: Path) -> None:
    """Note in the shared folder that the database went back, as long as that takes no time."""

    def note() -> None:
        try:
            note_older(folder)
        except (StateError, OSError) as error:
            log.warning("that the database is older can't be noted", reason=str(error))

    noting = threading.Thread(target=note, daemon=True)
    noting.start()
    noting.join(NOTING)


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
