"""Ledger: the durable state of every document, written by one group-commit writer.

seen(), forget(), acknowledged(), polled() and unreadable() return before their change is committed;
it is committed before any later change, and may be lost in a power cut. begin_poll() is committed
when it returns and flushed with the next durable change. Every other change is durable when its
method returns. A method that waits raises StateError when the disk refuses for too long, or the
file is damaged.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
from msgspec import structs

from pipeline.document import Key
from pipeline.ledger import statements
from pipeline.ledger.allocation import NextNumbers, allocate, reallocate
from pipeline.ledger.connection import Connection
from pipeline.ledger.counts import LedgerCounts, read_counts
from pipeline.ledger.models import (
    AllocatedName,
    Allocation,
    Known,
    NameTaken,
    Staged,
    State,
    Unfinished,
    Unwritable,
    columns,
)
from pipeline.ledger.place import LedgerPlace, open_store
from pipeline.ledger.retention import REMOVE, REMOVE_NOTES, old_rows, shrink
from pipeline.ledger.schema import IS_FINAL
from pipeline.ledger.writer import Statement, Writer
from pipeline.note import Note

T = TypeVar("T")

#: SQL: the number of the poll that source ?1 is in.
CURRENT_POLL = "coalesce((SELECT poll FROM sources WHERE name = ?1), 0)"


class Ledger:
    """The open ledger of one running program. Made by open_ledger()."""

    def __init__(self, writer: Writer, place: LedgerPlace, node: str = "") -> None:
        self._writer = writer
        #: Where it lies, for those who read it beside the writer.
        self.place = place
        self._node = node
        self._numbers = NextNumbers()

    def stop_retrying(self) -> None:
        """Fail at once where the disk refuses: the program shuts down and can't wait for it."""
        self._writer.stop_retrying()

    @property
    def unwritable(self) -> Unwritable | None:
        """Why a disk, or another program, refuses it, so that all waits; None while all is well."""
        return self._writer.unwritable

    async def counts(self) -> LedgerCounts:
        """Count what still needs something, by a reader beside the writer. Raises StateError.

        It changes nothing, and keeps no change waiting.
        """
        return await anyio.to_thread.run_sync(read_counts, self.place, abandon_on_cancel=True)

    async def change(self, apply: Callable[[Connection], T]) -> T:
        """Call a function in a transaction of the writer; what it changes is durable on return."""
        return await self._writer.execute(apply, durable=True)

    async def ask(self, read: Callable[[Connection], T]) -> T:
        """Call a function that only reads, in the turn of the writer."""
        return await self._writer.execute(read, reading=True)

    async def begin_poll(self, source: str) -> int:
        """Count a poll of a source that begins, and return its number; restarts don't reset it.

        Whatever was recorded before has a smaller number (Known.poll).
        """
        return await self._writer.execute(partial(statements.begin_poll, source))

    async def contents(self, source: str, ids: Iterable[str]) -> dict[str, dict[str, Known]]:
        """The rows of these ids, by id and revision; an id without a row is left out."""
        wanted = list(ids)
        if not wanted:
            return {}
        return await self._writer.execute(
            partial(statements.contents, source, wanted), reading=True
        )

    async def seen(self, documents: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents (key, label) were listed; returns before the commit."""
        sql = (
            "INSERT INTO documents"  # noqa: S608 - constants only
            " (source, id, revision, label, state, seen_at, changed_at, poll)"
            f" VALUES (?1, ?2, ?3, ?4, 'seen', ?5, ?5, {CURRENT_POLL})"
            " ON CONFLICT (source, id, revision) DO UPDATE SET state = 'seen',"
            " changed_at = excluded.changed_at,"
            " reason = '', name_hash = NULL, acknowledged_at = NULL, poll = excluded.poll"
            " WHERE documents.state NOT IN ('staged', 'delivered')"
        )
        rows = [(*columns(key), label, at) for key, label in documents]
        await self._writer.enqueue(Statement(sql, rows))

    async def forget(self, keys: Iterable[Key]) -> None:
        """Delete documents that others supersede, unless they are staged or delivered.

        Returns before the commit.
        """
        sql = (
            "DELETE FROM documents WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state NOT IN ('staged', 'delivered')"
        )
        await self._writer.enqueue(Statement(sql, [columns(key) for key in keys]))

    async def stage(self, documents: Sequence[Staged], at: float) -> list[Allocation]:
        """Allocate a name to each document and record it as staged: durable on return.

        The temporary files have to be flushed before. A document gets a name that no other one has
        had; or it is a Duplicate or Unrecorded, and nothing is recorded of it.
        """
        if not documents:
            return []
        apply = partial(allocate, documents, at, self._node, self._numbers)
        return await self._writer.execute(apply, durable=True)

    async def reallocate(self, taken: Sequence[NameTaken], at: float) -> list[AllocatedName | None]:
        """Allocate other names to staged documents whose names were taken: durable on return.

        One that another node has given another name meanwhile keeps that. None for one that is not
        staged under its temporary file any more, which stays as it is.
        """
        if not taken:
            return []
        apply = partial(reallocate, taken, at, self._numbers)
        return await self._writer.execute(apply, durable=True)

    async def delivered(self, documents: Iterable[tuple[Key, str]], at: float) -> None:
        """Record documents, (key, temporary file) each, as delivered: durable on return.

        Their files have to be flushed before. One that is delivered already stays as it is. Raises
        RowMissing if one of them is neither that nor staged under its temporary file.
        """
        rows = [(*columns(key), at, staged) for key, staged in documents]
        if rows:
            await self._writer.execute(partial(statements.delivered, rows), durable=True)

    async def duplicates(self, found: Iterable[tuple[Key, str]], at: float) -> None:
        """Record duplicates, (key, sentence that names the original) each: durable on return."""
        await self._record_end(State.DUPLICATE, found, at)

    async def skipped(self, found: Iterable[tuple[Key, str]], at: float) -> None:
        """Record documents that a rule skips, (key, the rule) each: durable on return."""
        await self._record_end(State.SKIPPED, found, at)

    async def note(self, notes: Iterable[tuple[Key, Note]], at: float) -> None:
        """Record what documents say of others: durable on return; what is noted stays as it is."""
        sql = (
            "INSERT INTO notes (source, id, revision, company, reference, party, says, accepted,"
            " reason, identity, noted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
            " ON CONFLICT DO NOTHING"
        )
        rows = [(*columns(key), *structs.astuple(one), at) for key, one in notes]
        await self._writer.write(Statement(sql, rows))

    async def unstaged(self, failed: Iterable[tuple[Key, str, str]], at: float) -> None:
        """Record staged documents that did not become visible as waiting: durable on return.

        failed: (key, temporary file, reason) each. Their names are free for others from then on.
        One that is not staged under its temporary file stays as it is.
        """
        sql = (
            "UPDATE documents SET state = 'waiting', staged = '', companions = '',"  # noqa: S608 - constants only
            " name_hash = NULL, identity = NULL, number_hash = NULL, reason = ?6, changed_at = ?4,"
            f" poll = {CURRENT_POLL} WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state = 'staged' AND staged = ?5"
        )
        rows = [(*columns(key), at, staged, reason) for key, staged, reason in failed]
        await self._writer.write(Statement(sql, rows))

    async def waiting(
        self, failed: Iterable[tuple[Key, str]], at: float, company: str = ""
    ) -> None:
        """Record documents that failed for now, (key, reason) each: durable on return.

        company: whose list showed them; "" if that is not known.
        """
        failed = list(failed)
        await self._record_end(State.WAITING, failed, at)
        if company:
            sql = (
                "UPDATE documents SET company = ?4 WHERE source = ?1 AND id = ?2 AND revision = ?3"
                " AND state = 'waiting'"
            )
            rows = [(*columns(key), company) for key, _ in failed]
            await self._writer.enqueue(Statement(sql, rows))

    async def quarantined(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record documents that failed for good, (key, reason) each: durable on return."""
        await self._record_end(State.QUARANTINED, failed, at)

    async def _record_end(self, state: State, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record a state and its reason; inserts the row if seen() could not write it."""
        # Whether a staged document became visible only its temporary folder tells (recovery).
        sql = (
            "INSERT INTO documents (source, id, revision, label, state, reason, seen_at,"  # noqa: S608 - constants only
            f" changed_at, poll) VALUES (?1, ?2, ?3, ?2, ?4, ?5, ?6, ?6, {CURRENT_POLL})"
            " ON CONFLICT (source, id, revision) DO UPDATE SET state = excluded.state,"
            " reason = excluded.reason, changed_at = excluded.changed_at, poll = excluded.poll"
            " WHERE documents.state NOT IN ('staged', 'delivered')"
        )
        rows = [(*columns(key), state.value, reason, at) for key, reason in failed]
        await self._writer.write(Statement(sql, rows))

    async def acknowledged(self, keys: Iterable[Key], at: float) -> None:
        """Record that the source was told; returns before the commit.

        If the record is lost in a power cut, the source is told again.
        """
        sql = (
            f"UPDATE documents SET acknowledged_at = ?4, poll = {CURRENT_POLL}"  # noqa: S608 - constants only
            f" WHERE source = ?1 AND id = ?2 AND revision = ?3 AND {IS_FINAL}"
        )
        rows = [(*columns(key), at) for key in keys]
        await self._writer.enqueue(Statement(sql, rows, must_match=True))

    async def unacknowledged(
        self, source: str, after: tuple[Key, Known] | None = None
    ) -> list[tuple[Key, Known]]:
        """One page of the documents in a final state that the source was not told of.

        after: the last one of the page before. Empty when there are no more.
        """
        return await self._writer.execute(
            partial(statements.unacknowledged, source, after), reading=True
        )

    async def shrink(self, keys: Iterable[Key], before: float) -> None:
        """Keep of old documents only what exactly-once needs; see retention.py.

        before: rows that were touched since are left alone. Returns when it is committed.
        """
        await self._writer.execute(Statement(shrink(self._writer.dialect), old_rows(keys, before)))

    async def remove(self, keys: Iterable[Key], before: float) -> None:
        """Remove old rows of documents that were never delivered; the rest as in shrink()."""
        await self._writer.execute(Statement(REMOVE, old_rows(keys, before)))

    async def remove_notes(self, before: float) -> int:
        """Remove some notes that are older; returns how many. Returns when it is committed."""
        return await self._writer.execute(
            lambda connection: connection.execute(REMOVE_NOTES, (before,)).rowcount
        )

    async def forget_quarantined(self, key: Key) -> None:
        """Forget that a document was quarantined, of which another row says what became of it.

        Returns before the commit. What its source was not told of stays.
        """
        sql = (
            "DELETE FROM documents WHERE source = ?1 AND id = ?2 AND state = 'quarantined'"
            " AND acknowledged_at IS NOT NULL"
        )
        await self._writer.enqueue(Statement(sql, [(key.source, key.id)]))

    async def not_kept(self, key: Key, why: str) -> None:
        """Say in the reason of a quarantined document why its bytes are not kept any more."""
        sql = (
            "UPDATE documents SET reason = reason || ?4 WHERE source = ?1 AND id = ?2"
            " AND revision = ?3 AND state = 'quarantined'"
            " AND substr(reason, length(reason) + 1 - ?5) <> ?4"
        )
        said = f" ({why})"
        await self._writer.enqueue(Statement(sql, [(*columns(key), said, len(said))]))

    async def unfinished(self) -> list[Unfinished]:
        """The documents that an earlier process left staged."""
        return await self._writer.execute(statements.unfinished, reading=True)

    async def polled(self, source: str, at: float, error: str = "") -> None:
        """Record that a poll was complete, or its error; returns before the commit."""
        sql = (
            "INSERT INTO sources (name, polled_at, error, error_at) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (name) DO UPDATE SET polled_at = coalesce(?2, sources.polled_at),"
            " error = ?3, error_at = ?4"
        )
        row = (source, None if error else at, error, at if error else None)
        await self._writer.enqueue(Statement(sql, [row]))

    async def cursor(self, source: str) -> str:
        """Where the next walk over a source's list may begin; "" for the start."""
        return await self._writer.execute(partial(statements.cursor, source), reading=True)

    async def set_cursor(self, source: str, cursor: str) -> None:
        """Record where a later walk may begin; returns before the commit.

        Every document that was listed before it has to have come to its end.
        """
        sql = "UPDATE sources SET cursor = ?2 WHERE name = ?1"
        await self._writer.enqueue(Statement(sql, [(source, cursor)]))

    async def unreadable(self, source: str, items: int) -> None:
        """Record how many listed documents a poll could not read; returns before the commit."""
        sql = "UPDATE sources SET unreadable = ?2 WHERE name = ?1"
        await self._writer.enqueue(Statement(sql, [(source, items)]))


@asynccontextmanager
async def open_ledger(
    place: LedgerPlace, write_timeout: float = math.inf, node: str = "", *, read_only: bool = False
) -> AsyncIterator[Ledger]:
    """Open or create the ledger and run its writer; on leaving, all changes are committed.

    write_timeout: seconds to retry while the disk refuses, or the database does not answer. node:
    which one of a cluster this is. read_only: whether a database is only read; raises NoLedger if
    there is none. A file that is no ledger, or a damaged one, is kept aside under
    another name, and a new one begins; one of an earlier version is migrated. Raises StateError
    when it is a newer program's, can't be migrated, or the disk refuses; on leaving, when changes
    that no caller waits for could not be written.
    """
    store = await anyio.to_thread.run_sync(partial(open_store, place, node, read_only=read_only))
    with closing(store):
        writer = Writer(store, write_timeout)
        async with anyio.create_task_group() as group:
            group.start_soon(writer.run)
            try:
                yield Ledger(writer, place, node)
            finally:
                writer.stop_retrying()
                writer.close()
        if writer.failure is not None:
            raise writer.failure
