"""The ledger: what became of every document, in SQLite, by one writer.

Nobody waits for the record that a document was seen or a source was told; everything else is
durable when the call returns.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from pipeline.document import Key
from pipeline.ledger.allocation import Numbers, allocate, reallocate
from pipeline.ledger.database import open_file
from pipeline.ledger.models import (
    ENDED,
    Allocation,
    Claim,
    Known,
    Staged,
    State,
    Taken,
    Unfinished,
    columns,
)
from pipeline.ledger.writer import Statement, Writer

#: Ids, or rows, of one query.
PAGE = 500

#: The number of the poll that a source is in.
POLL = "coalesce((SELECT poll FROM sources WHERE name = ?1), 0)"
#: The states that sources are told of, in SQL.
ENDS = f"({', '.join(repr(state.value) for state in ENDED)})"


class Ledger:
    """The open ledger of one running program. Made by open_ledger()."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._numbers = Numbers()

    def hurry(self) -> None:
        """The program is to stop: a disk that refuses is not waited for any more."""
        self._writer.hurry()

    async def begin_poll(self, source: str) -> int:
        """Count a poll of a source that begins, and return its number; it goes on through stops.

        What was recorded before that has a smaller one (Known.poll).
        """
        return await self._writer.change(partial(_begin_poll, source))

    async def contents(self, source: str, ids: Iterable[str]) -> dict[str, dict[str, Known]]:
        """What the ledger says of all that these ids have ever stood for, by id and revision.

        Ids that it has never seen are left out.
        """
        wanted = list(ids)
        if not wanted:
            return {}
        return await self._writer.change(partial(_contents, source, wanted))

    async def seen(self, documents: Iterable[tuple[Key, str]], at: float) -> None:
        """Note that documents (key, label) were listed and are on their way."""
        sql = (
            "INSERT INTO documents"  # noqa: S608 - our own words
            " (source, id, revision, label, state, seen_at, changed_at, poll)"
            f" VALUES (?1, ?2, ?3, ?4, 'seen', ?5, ?5, {POLL})"
            " ON CONFLICT DO UPDATE SET state = 'seen', changed_at = excluded.changed_at,"
            " reason = '', name_hash = NULL, acknowledged_at = NULL, poll = excluded.poll"
            " WHERE state NOT IN ('staged', 'delivered')"
        )
        rows = [(*columns(key), label, at) for key, label in documents]
        await self._writer.note(Statement(sql, rows))

    async def forget(self, keys: Iterable[Key]) -> None:
        """Note that documents that came to nothing have been superseded by others."""
        sql = (
            "DELETE FROM documents WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state NOT IN ('staged', 'delivered')"
        )
        await self._writer.note(Statement(sql, [columns(key) for key in keys]))

    async def stage(self, documents: Sequence[Staged], at: float) -> list[Allocation]:
        """Record that files lie ready and are about to become visible: durable on return.

        Gives each document a name that no other one has had, or says of which it is a duplicate;
        of those nothing is recorded, nor of a document that has no row or has been through this.
        """
        if not documents:
            return []
        apply = partial(allocate, documents, at, self._numbers)
        return await self._writer.change(apply, durable=True)

    async def rename(self, taken: Sequence[Taken], at: float) -> list[Claim]:
        """Give staged documents other names, for somebody took theirs: durable on return."""
        if not taken:
            return []
        apply = partial(reallocate, taken, at, self._numbers)
        return await self._writer.change(apply, durable=True)

    async def delivered(self, keys: Iterable[Key], at: float) -> None:
        """Record that documents stand durable in their folders: durable on return."""
        sql = (
            "UPDATE documents SET state = 'delivered', staged = '', companions = '', reason = '',"
            " delivered_at = ?4, changed_at = ?4 WHERE source = ?1 AND id = ?2 AND revision = ?3"
        )
        rows = [(*columns(key), at) for key in keys]
        await self._writer.record(Statement(sql, rows, hits=True))

    async def duplicates(self, found: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents are delivered already, (key, of which) each: durable on return."""
        await self._failed(State.DUPLICATE, found, at)

    async def skipped(self, found: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents are left out by a rule, (key, which) each: durable on return."""
        await self._failed(State.SKIPPED, found, at)

    async def unstaged(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that staged documents did not become visible, (key, reason) each: durable."""
        clear = (
            ", staged = '', companions = '', name_hash = NULL, identity = NULL, number_hash = NULL"
        )
        await self._end(State.WAITING, failed, at, clear)

    async def waiting(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents failed for now, (key, reason) each: a later poll takes them."""
        await self._failed(State.WAITING, failed, at)

    async def quarantined(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents failed for good, (key, reason) each: durable on return."""
        await self._failed(State.QUARANTINED, failed, at)

    async def _failed(self, state: State, failed: Iterable[tuple[Key, str]], at: float) -> None:
        # Of a staged document only the temporary folder knows whether it became visible.
        await self._end(state, failed, at, " WHERE state NOT IN ('staged', 'delivered')")

    async def _end(
        self, state: State, failed: Iterable[tuple[Key, str]], at: float, tail: str
    ) -> None:
        """Record an end, also of a document whose row could not be written when it was seen.

        tail: what else to change of a row, and which rows to leave alone.
        """
        sql = (
            "INSERT INTO documents (source, id, revision, label, state, reason, seen_at,"  # noqa: S608 - our own words
            f" changed_at, poll) VALUES (?1, ?2, ?3, ?2, ?4, ?5, ?6, ?6, {POLL})"
            " ON CONFLICT DO UPDATE SET state = excluded.state, reason = excluded.reason,"
            f" changed_at = excluded.changed_at, poll = excluded.poll{tail}"
        )
        rows = [(*columns(key), state.value, reason, at) for key, reason in failed]
        await self._writer.record(Statement(sql, rows))

    async def acknowledged(self, keys: Iterable[Key], at: float) -> None:
        """Note that the source has been told; lost in a power cut, it is told again."""
        sql = (
            f"UPDATE documents SET acknowledged_at = ?4, poll = {POLL}"  # noqa: S608 - our own words
            f" WHERE source = ?1 AND id = ?2 AND revision = ?3 AND state IN {ENDS}"
        )
        rows = [(*columns(key), at) for key in keys]
        await self._writer.note(Statement(sql, rows, hits=True))

    async def unacknowledged(
        self, source: str, after: tuple[Key, Known] | None = None
    ) -> list[tuple[Key, Known]]:
        """What has come to its end and the source has not been told of: some of it at a time.

        after: the last one of those before. Empty when there are no more.
        """
        return await self._writer.change(partial(_unacknowledged, source, after))

    async def unfinished(self) -> list[Unfinished]:
        """What an earlier process left staged."""
        return await self._writer.change(_unfinished)

    async def polled(self, source: str, at: float, error: str = "") -> None:
        """Note that a source was read to its end, or why it was not."""
        sql = (
            "INSERT INTO sources (name, polled_at, error, error_at) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT DO UPDATE SET polled_at = coalesce(?2, polled_at), error = ?3,"
            " error_at = ?4"
        )
        row = (source, None if error else at, error, at if error else None)
        await self._writer.note(Statement(sql, [row]))


@asynccontextmanager
async def open_ledger(path: Path, patience: float = math.inf) -> AsyncIterator[Ledger]:
    """Open or make the ledger and run its writer; what was asked for is committed on leaving.

    patience: seconds to wait for a disk that refuses. A file that is no ledger, or a damaged one,
    is kept aside under another name, and a new one begun. Raises StateError when it is a newer
    program's, or the disk refuses; also on leaving, if there are notes that it has refused.
    """
    connection = await anyio.to_thread.run_sync(open_file, path)
    with closing(connection):
        writer = Writer(connection, patience)
        async with anyio.create_task_group() as group:
            group.start_soon(writer.run)
            try:
                yield Ledger(writer)
            finally:
                writer.hurry()
                writer.close()
        if writer.failure is not None:
            raise writer.failure


def _begin_poll(source: str, connection: sqlite3.Connection) -> int:
    cursor = connection.execute(
        "INSERT INTO sources (name, poll) VALUES (?, 1)"
        " ON CONFLICT DO UPDATE SET poll = poll + 1 RETURNING poll",
        (source,),
    )
    ((number,),) = cursor.fetchall()
    return int(number)


def _contents(
    source: str, ids: Sequence[str], connection: sqlite3.Connection
) -> dict[str, dict[str, Known]]:
    found: dict[str, dict[str, Known]] = {}
    for some in (ids[start : start + PAGE] for start in range(0, len(ids), PAGE)):
        rows = connection.execute(
            "SELECT id, revision, state, poll, acknowledged_at, reason, sha256"  # noqa: S608 - our own words
            " FROM documents"
            f" WHERE source = ? AND id IN ({', '.join('?' * len(some))})",
            (source, *some),
        )
        for row in rows:
            found.setdefault(row[0], {})[row[1]] = Known(State(row[2]), *row[3:])
    return found


def _unacknowledged(
    source: str, after: tuple[Key, Known] | None, connection: sqlite3.Connection
) -> list[tuple[Key, Known]]:
    last = (after[1].state.value, *columns(after[0])[1:]) if after else ("", "", "")
    rows = connection.execute(
        "SELECT id, revision, state, poll, acknowledged_at, reason FROM documents"  # noqa: S608 - our own words
        " INDEXED BY documents_open"
        f" WHERE source = ?1 AND acknowledged_at IS NULL AND state IN {ENDS}"
        " AND (state, id, revision) > (?2, ?3, ?4) ORDER BY state, id, revision LIMIT ?5",
        (source, *last, PAGE),
    )
    return [(Key(source, r[0], r[1]), Known(State(r[2]), *r[3:])) for r in rows]


def _unfinished(connection: sqlite3.Connection) -> list[Unfinished]:
    rows = connection.execute(
        "SELECT source, id, revision, staged, companions, path FROM documents"
        " WHERE state = 'staged'"
    )
    return [Unfinished(Key(*r[:3]), r[3], tuple(r[4].split()), r[5]) for r in rows]
