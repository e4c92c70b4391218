"""One writer for a SQLite database: changes are grouped into commits.

All that arrive while one commit is being flushed share the next one. What nobody has to wait for
goes along with the others.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import structlog

from pipeline.errors import StateError
from pipeline.storage import is_damage, is_mendable, suspect

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Changes in one commit, at most.
GROUP = 256
#: Seconds that changes nobody waits for may wait for others.
LINGER = 0.05
#: Seconds between two tries to write where the disk refuses.
PAUSE = 1.0


class _Change:
    """One caller's change on its way to the writer.

    done: None if nobody waits for it. durable: whether it has to be on the disk when it is done.
    """

    def __init__(self, apply: Callable[[sqlite3.Connection], Any], *, durable: bool) -> None:
        self.apply = apply
        self.durable = durable
        self.done: anyio.Event | None = None
        self.result: Any = None
        self.error: Exception | None = None


class Writer:
    """Takes changes from many and commits them, one group after the other.

    patience: seconds to wait for a disk that refuses.
    """

    def __init__(self, connection: sqlite3.Connection, patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._hurried = anyio.Event()
        self._changes, self._inbox = anyio.create_memory_object_stream[_Change](GROUP)

    async def run(self) -> None:
        """Be the one writer, until close(): commit all that waits, then tell those who wait."""
        # It ends by close(), so that what has been asked for is written whatever else fails.
        with anyio.CancelScope(shield=True), self._inbox:
            async for first in self._inbox:
                group = [first]
                with suppress(anyio.WouldBlock, anyio.EndOfStream):
                    while len(group) < GROUP:
                        group.append(self._inbox.receive_nowait())
                await self._linger(group)
                await self._commit(group)
                for change in group:
                    if change.done is not None:
                        change.done.set()

    def hurry(self) -> None:
        """The program is to stop: a disk that refuses is not waited for any more."""
        self._hurried.set()

    def close(self) -> None:
        """Take no more changes; run() ends after what has been taken."""
        self._changes.close()

    async def note(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Apply a statement to rows in its turn, which nobody waits for."""
        if not rows:
            return
        change = _Change(partial(_apply, statement, rows), durable=False)
        try:
            self._changes.send_nowait(change)
        except anyio.WouldBlock:
            await self._changes.send(change)

    async def change(self, apply: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Have something done in its turn and return what it returns; durable: on the disk then.

        StateError when the disk refuses for longer than we are patient, or the file is damaged.
        """
        change = _Change(apply, durable=durable)
        change.done = anyio.Event()
        # Who is cancelled still waits: one who went on without knowing whether the commit
        # happened could undo what it says.
        with anyio.CancelScope(shield=True):
            await self._changes.send(change)
            await change.done.wait()
        if isinstance(change.error, sqlite3.OperationalError):
            raise StateError(
                "the ledger",
                f"it can't be written ({change.error})",
                "Mend the disk that holds state_dir and start again; nothing is lost",
            ) from change.error
        if is_damage(change.error):
            raise StateError(
                "the ledger",
                f"it is damaged ({change.error})",
                "Start again: it is kept aside then, and a new one begins",
            ) from change.error
        if change.error is not None:
            raise change.error
        result: T = change.result
        return result

    async def record(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Apply a statement to rows and wait until that is durable. StateError as for change()."""
        if rows:
            await self.change(partial(_apply, statement, rows), durable=True)

    async def _linger(self, group: list[_Change]) -> None:
        """Wait a moment for somebody whose commit can take these changes along."""
        if any(change.done for change in group):
            return
        with anyio.move_on_after(LINGER), suppress(anyio.EndOfStream):
            while len(group) < GROUP and group[-1].done is None:
                group.append(await self._inbox.receive())

    async def _commit(self, group: list[_Change]) -> None:
        """Commit a group; while the disk refuses, everything waits, for as long as patience is."""
        began, reported = time.monotonic(), False
        while True:
            await anyio.to_thread.run_sync(_commit, self._connection, group)
            error = group[0].error
            if not is_mendable(error):
                break
            if self._hurried.is_set() or time.monotonic() - began > self._patience:
                return
            if not reported:
                reported = True
                log.error(
                    "ledger can't be written",
                    reason=str(error),
                    remedy="Mend the disk that holds state_dir; everything waits for it",
                )
            with anyio.move_on_after(PAUSE):
                await self._hurried.wait()
        if reported:
            log.info("ledger can be written again")


def _apply(statement: str, rows: Sequence[tuple[Any, ...]], connection: sqlite3.Connection) -> None:
    # A cursor that somebody still holds would keep the file open beyond close().
    connection.executemany(statement, rows).close()


def _commit(connection: sqlite3.Connection, group: Sequence[_Change]) -> None:
    """Apply a group of changes in one transaction: all of them, or none and each is told."""
    durable = any(change.durable for change in group)
    try:
        # FULL: on the disk before anyone acts on it, also after a power cut, and all before it.
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        for change in group:
            change.error = None
            change.result = change.apply(connection)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - handed to those who asked, who raise it
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if is_damage(error):
            suspect(connection)
        for change in group:
            change.error = error
