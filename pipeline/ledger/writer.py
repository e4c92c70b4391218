"""One writer for a SQLite database: changes are grouped into commits.

All that arrive while one commit is being flushed share the next one. What nobody has to wait for
goes along with the others. A change that fails fails alone; what the disk refuses waits.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import structlog

from pipeline.errors import StateError
from pipeline.ledger.database import is_damage, is_refusal, suspect, words

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Changes in one commit, at most.
GROUP = 256
#: Seconds that changes nobody waits for may wait for others.
LINGER = 0.05
#: Seconds between two tries to write where the disk refuses.
PAUSE = 1.0


class Missed(Exception):
    """A statement was to change a row for each of its parameters, and some were not there."""


class Statement:
    """A statement and its parameters, row by row.

    hits: whether each of them has to change a row; else Missed.
    """

    def __init__(self, sql: str, rows: Sequence[tuple[Any, ...]], *, hits: bool = False) -> None:
        self.sql = sql
        self.rows = rows
        self.hits = hits

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Apply it, within the transaction that is open."""
        cursor = connection.executemany(self.sql, self.rows)
        missed = len(self.rows) - cursor.rowcount
        # A cursor that somebody still holds would keep the file open beyond close().
        cursor.close()
        if self.hits and missed > 0:
            raise Missed(f"{missed} of {len(self.rows)} rows: {self.rows[0]} …")

    def single(self) -> list[Statement]:
        """The same for each of the rows by itself."""
        return [Statement(self.sql, [row], hits=self.hits) for row in self.rows]


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

    def parts(self) -> list[_Change]:
        """What it may be broken into, so that one row that fails fails alone: a note's rows."""
        if self.done is None and isinstance(self.apply, Statement):
            return [_Change(one, durable=self.durable) for one in self.apply.single()]
        return []


class Writer:
    """Takes changes from many and commits them, one group after the other.

    patience: seconds to wait for a disk that refuses.
    """

    def __init__(self, connection: sqlite3.Connection, patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._hurried = anyio.Event()
        self._changes, self._inbox = anyio.create_memory_object_stream[_Change](GROUP)
        #: Notes that the disk has refused so far: they go along with the next commit.
        self._kept: list[_Change] = []
        #: Why some notes could not be written until the end.
        self.failure: StateError | None = None

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
                await self._commit([*self._kept, *group])
                for change in group:
                    if change.done is not None:
                        change.done.set()
            if self._kept:
                await self._commit(self._kept)
            if self._kept:
                error = self._kept[0].error
                self.failure = _failure(error)
                log.error("notes of the ledger are lost", notes=len(self._kept), reason=str(error))

    def hurry(self) -> None:
        """The program is to stop: a disk that refuses is not waited for any more."""
        self._hurried.set()

    def close(self) -> None:
        """Take no more changes; run() ends after what has been taken."""
        self._changes.close()

    async def note(self, statement: Statement) -> None:
        """Apply a statement in its turn, which nobody waits for."""
        if not statement.rows:
            return
        change = _Change(statement, durable=False)
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
        if change.error is not None:
            raise _failure(change.error) or change.error
        result: T = change.result
        return result

    async def record(self, statement: Statement) -> None:
        """Apply a statement and wait until that is durable. StateError as for change()."""
        if statement.rows:
            await self.change(statement, durable=True)

    async def _linger(self, group: list[_Change]) -> None:
        """Wait a moment for somebody whose commit can take these changes along."""
        if any(change.done for change in group):
            return
        with anyio.move_on_after(LINGER), suppress(anyio.EndOfStream):
            while len(group) < GROUP and group[-1].done is None:
                group.append(await self._inbox.receive())

    async def _commit(self, group: Sequence[_Change]) -> None:
        """Commit a group; while the disk refuses, everything waits, for as long as patience is.

        Of what it refuses then, notes are kept for the next commit.
        """
        began, reported = time.monotonic(), False
        while group := await anyio.to_thread.run_sync(_commit, self._connection, group):
            error = group[0].error
            late = self._hurried.is_set() or time.monotonic() - began > self._patience
            if late or not is_refusal(error):
                break
            if not reported:
                reported = True
                said, remedy = words(error)
                remedy = f"{remedy}; everything waits and will be retried"
                log.error("ledger can't be written", reason=said, remedy=remedy)
            with anyio.move_on_after(PAUSE):
                await self._hurried.wait()
        if reported and not group:
            log.info("ledger can be written again")
        for change in group:
            change.error = error
        self._kept = [change for change in group if change.done is None]


def _failure(error: BaseException | None) -> StateError | None:
    """What to tell of an error that is not ours; None if it is."""
    if is_refusal(error):
        said, remedy = words(error)
        failure = StateError(
            "the ledger",
            f"it can't be written: {said}",
            f"{remedy}; then start again, nothing is lost",
        )
    elif is_damage(error):
        failure = StateError(
            "the ledger",
            f"it is damaged ({error})",
            "Start again: it is kept aside then, and a new one begins",
        )
    else:
        return None
    failure.__cause__ = error
    return failure


def _commit(connection: sqlite3.Connection, group: Sequence[_Change]) -> Sequence[_Change]:
    """Apply changes in one transaction; where one fails, each by itself, so that it fails alone.

    Returns those that have yet to be applied because the disk refuses, or the file is damaged.
    """
    error = _apply(connection, group)
    if error is None:
        return ()
    if is_damage(error) or is_refusal(error):
        group[0].error = error
        return group
    parts = group if len(group) > 1 else group[0].parts()
    if len(parts) > 1:
        for index, part in enumerate(parts):
            if refused := _commit(connection, [part]):
                return [*refused, *parts[index + 1 :]]
        return ()
    group[0].error = error
    if group[0].done is None:
        log.error("a note of the ledger is lost by a fault of synqup's own", exc_info=error)
    return ()


def _apply(connection: sqlite3.Connection, group: Sequence[_Change]) -> Exception | None:
    """Apply changes in one transaction: all of them, or none and why."""
    durable = any(change.durable for change in group)
    try:
        if connection.in_transaction:
            # The one before could not even be rolled back.
            connection.execute("ROLLBACK")
        # FULL: on the disk before anyone acts on it, also after a power cut, and all before it.
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        for change in group:
            change.result = change.apply(connection)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - handed to those who asked, who raise it
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if is_damage(error):
            suspect(connection)
        return error
    for change in group:
        change.error = None
    return None
