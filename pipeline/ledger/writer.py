"""Group-commit writer: one task that commits the changes of many callers, group by group.

All changes that arrive while one commit is being flushed share the next one. Changes that no
caller waits for are committed along with the others. A change that fails does so without failing
the rest of its group. While something outside refuses a commit (a full disk, a lock, a connection
that is lost), all changes wait and are applied again. Whether a commit was made is unknown then, so
that each change has to bear to be applied twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import structlog

from pipeline.errors import StateError
from pipeline.ledger.connection import Connection, Dialect, Store
from pipeline.ledger.models import Unwritable

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Changes in one commit, at most.
MAX_GROUP = 256
#: Seconds that changes which no caller waits for may wait for others.
LINGER = 0.05
#: Seconds between two attempts to commit what was refused.
RETRY_DELAY = 1.0


class RowMissing(Exception):
    """A statement had to change a row for each of its parameters, and some rows do not exist."""


class Statement:
    """An SQL statement and its rows of parameters.

    must_match: whether each row of parameters has to change a row of the table; else RowMissing.
    """

    def __init__(
        self, sql: str, rows: Sequence[tuple[Any, ...]], *, must_match: bool = False
    ) -> None:
        self.sql = sql
        self.rows = rows
        self.must_match = must_match

    def __call__(self, connection: Connection) -> None:
        """Execute it, within the transaction that is open."""
        cursor = connection.executemany(self.sql, self.rows)
        missing = len(self.rows) - cursor.rowcount
        # A traceback that refers to an open cursor would keep the file open beyond close().
        cursor.close()
        if self.must_match and missing > 0:
            raise RowMissing(f"{missing} of {len(self.rows)} rows: {self.rows[0]} …")

    def split(self) -> list[Statement]:
        """One statement for each row of parameters."""
        return [Statement(self.sql, [row], must_match=self.must_match) for row in self.rows]


class _Change:
    """One caller's change on its way to the writer.

    done: None if the caller does not wait. durable: whether it has to be flushed when done is set.
    reading: it changes nothing.
    """

    def __init__(
        self, apply: Callable[[Connection], Any], *, durable: bool, reading: bool = False
    ) -> None:
        self.apply = apply
        self.durable = durable
        self.reading = reading
        self.done: anyio.Event | None = None
        self.result: Any = None
        self.error: Exception | None = None

    def split(self) -> list[_Change]:
        """One change for each row if no caller waits for it, so that a bad row fails alone."""
        if self.done is None and isinstance(self.apply, Statement):
            return [_Change(one, durable=self.durable) for one in self.apply.split()]
        return []


class Writer:
    """Takes changes from many tasks and commits them, one group after the other.

    timeout: seconds to retry while commits are refused.
    """

    def __init__(self, store: Store, timeout: float) -> None:
        self._store = store
        self._timeout = timeout
        self._retries_stopped = anyio.Event()
        self._sender, self._receiver = anyio.create_memory_object_stream[_Change](MAX_GROUP)
        #: Changes that no caller waits for and that were refused so far: part of the next commit.
        self._refused: list[_Change] = []
        #: Why some of them could not be written until the end; None if all were written.
        self.failure: StateError | None = None
        #: When the first of the attempts since then was refused, by the monotonic clock.
        self._refused_since: float | None = None
        #: Why the latest attempt to commit was refused; None while all goes well.
        self.unwritable: Unwritable | None = None

    @property
    def dialect(self) -> Dialect:
        """The words of its database."""
        return self._store.dialect

    async def run(self) -> None:
        """Commit all changes in their order, until close(); one task of the program runs this."""
        # It ends by close() only: what was asked for is written even if the program is cancelled.
        with anyio.CancelScope(shield=True), self._receiver:
            async for first in self._receiver:
                group = [first]
                with suppress(anyio.WouldBlock, anyio.EndOfStream):
                    while len(group) < MAX_GROUP:
                        group.append(self._receiver.receive_nowait())
                await self._linger(group)
                await self._commit([*self._refused, *group])
                for change in group:
                    if change.done is not None:
                        change.done.set()
            if self._refused:
                await self._commit(self._refused)
            if self._refused:
                error = self._refused[0].error
                self.failure = self._state_error(error)
                log.error("ledger entries are lost", changes=len(self._refused), reason=str(error))

    def stop_retrying(self) -> None:
        """Make each commit that is refused from now on fail at once: the program shuts down."""
        self._retries_stopped.set()

    def close(self) -> None:
        """Take no more changes; run() ends after those that it has."""
        self._sender.close()

    async def enqueue(self, statement: Statement) -> None:
        """Execute a statement in its turn, without waiting for it; an error is logged."""
        if not statement.rows:
            return
        change = _Change(statement, durable=False)
        try:
            self._sender.send_nowait(change)
        except anyio.WouldBlock:
            await self._sender.send(change)

    async def execute(
        self, apply: Callable[[Connection], T], *, durable: bool = False, reading: bool = False
    ) -> T:
        """Call a function in its turn, in a transaction, and return what it returns.

        durable: whether the commit is flushed before the return. reading: the function changes
        nothing. Raises what the function raises; StateError when the commit is refused for longer
        than the timeout, or the file is damaged.
        """
        change = _Change(apply, durable=durable, reading=reading)
        change.done = anyio.Event()
        # A cancelled caller still waits: without knowing whether the commit happened, it could
        # undo what the ledger says.
        with anyio.CancelScope(shield=True):
            await self._sender.send(change)
            await change.done.wait()
        if change.error is not None:
            raise self._state_error(change.error) or change.error
        result: T = change.result
        return result

    async def write(self, statement: Statement) -> None:
        """Execute a statement and wait until it is durable. Raises as execute() does."""
        if statement.rows:
            await self.execute(statement, durable=True)

    async def _linger(self, group: list[_Change]) -> None:
        """Wait a moment for a change that a caller waits for, if the group has none."""
        if any(change.done for change in group):
            return
        with anyio.move_on_after(LINGER), suppress(anyio.EndOfStream):
            while len(group) < MAX_GROUP and group[-1].done is None:
                group.append(await self._receiver.receive())

    async def _commit(self, group: Sequence[_Change]) -> None:
        """Commit a group, retrying until the timeout while that is refused; all others wait.

        Of what is still refused then, changes that no caller waits for go into the next commit.
        """
        while group := await anyio.to_thread.run_sync(_commit, self._store, group):
            error = group[0].error
            if not self._store.is_recoverable(error):
                break
            # Since the first refusal: what comes later waits no longer than what came then.
            self._refused_since = self._refused_since or time.monotonic()
            is_late = time.monotonic() - self._refused_since > self._timeout
            if is_late or self._retries_stopped.is_set():
                break
            self._note_refusal(error)
            with anyio.move_on_after(RETRY_DELAY):
                await self._retries_stopped.wait()
        if not group:
            self._refused_since = None
            if self.unwritable is not None:
                self.unwritable = None
                log.info("ledger can be written again")
        for change in group:
            change.error = error
        self._refused = [change for change in group if change.done is None]

    def _note_refusal(self, error: Exception | None) -> None:
        """Keep why a commit is refused; log it if the one before was not."""
        reason, remedy = self._store.explain(error)
        remedy = f"{remedy}; everything waits and will be retried"
        if self.unwritable is None:
            log.error("ledger can't be written", reason=reason, remedy=remedy)
        since = self.unwritable.since if self.unwritable else time.time()
        self.unwritable = Unwritable(since, reason, remedy)

    def _state_error(self, error: BaseException | None) -> StateError | None:
        """The error to show for one with a cause outside; None for a bug, which stays itself."""
        if self._store.is_recoverable(error):
            reason, remedy = self._store.explain(error)
            failure = StateError(
                "the ledger",
                f"it can't be written: {reason}",
                f"{remedy}; then start again, nothing is lost",
            )
        elif self._store.is_damage(error):
            failure = StateError(
                "the ledger",
                f"it is damaged ({error})",
                "Start again: it is kept aside then, and a new one begins",
            )
        else:
            return None
        failure.__cause__ = error
        return failure


def _commit(store: Store, group: Sequence[_Change]) -> Sequence[_Change]:
    """Apply changes in one transaction; if one fails, apply each in a transaction of its own.

    Returns those that were not applied because the commit is refused, or the file is damaged.
    """
    error = _apply(store, group)
    if error is None:
        return ()
    if store.is_damage(error) or store.is_recoverable(error):
        group[0].error = error
        return group
    parts = group if len(group) > 1 else group[0].split()
    if len(parts) > 1:
        for index, part in enumerate(parts):
            if refused := _commit(store, [part]):
                return [*refused, *parts[index + 1 :]]
        return ()
    group[0].error = error
    if group[0].done is None:
        log.error("a ledger entry is lost because of a bug in synqup", exc_info=error)
    return ()


def _apply(store: Store, group: Sequence[_Change]) -> Exception | None:
    """Apply changes in one transaction: all of them, or none; the error if none."""
    is_durable = any(change.durable for change in group)
    try:
        connection = store.begin(
            durable=is_durable, reading=all(change.reading for change in group)
        )
        for change in group:
            change.result = change.apply(connection)
        store.commit()
    except Exception as error:  # noqa: BLE001 - handed to the callers, who raise it
        store.rollback(error)
        return error
    for change in group:
        change.error = None
    return None
