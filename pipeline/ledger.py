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

from pipeline.claims import Numbers, allocate, reallocate
from pipeline.document import Key
from pipeline.records import (
    Allocation,
    Claim,
    Known,
    Staged,
    State,
    Taken,
    Unfinished,
    columns,
)
from pipeline.storage import open_file
from pipeline.writer import Writer


class Ledger:
    """The open ledger of one running program. Made by open_ledger()."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._numbers = Numbers()

    def hurry(self) -> None:
        """The program is to stop: a disk that refuses is not waited for any more."""
        self.writer.hurry()

    async def known(self, keys: Sequence[Key]) -> dict[Key, Known]:
        """What the ledger says of these documents; those it has never seen are left out."""

        def apply(connection: sqlite3.Connection) -> dict[Key, Known]:
            found = {}
            for key in keys:
                row = connection.execute(
                    "SELECT state, changed_at, acknowledged_at, reason, sha256,"
                    " coalesce(size, 0) FROM documents"
                    " WHERE source = ? AND id = ? AND revision = ?",
                    (key.source, key.id, key.revision),
                ).fetchone()
                if row is not None:
                    found[key] = Known(State(row[0]), *row[1:])
            return found

        return await self.writer.change(apply) if keys else {}

    async def contents(self, source: str, ids: Iterable[str]) -> dict[str, dict[str, Known]]:
        """What the ledger says of all that these ids have ever stood for, by id and revision."""

        def apply(connection: sqlite3.Connection) -> dict[str, dict[str, Known]]:
            found: dict[str, dict[str, Known]] = {}
            for id_ in ids:
                rows = connection.execute(
                    "SELECT revision, state, changed_at, acknowledged_at, reason, sha256"
                    " FROM documents WHERE source = ? AND id = ?",
                    (source, id_),
                )
                found[id_] = {row[0]: Known(State(row[1]), *row[2:]) for row in rows}
            return found

        return await self.writer.change(apply)

    async def seen(self, documents: Iterable[tuple[Key, str]], at: float) -> None:
        """Note that documents (key, label) were listed and are on their way."""
        await self.writer.note(
            "INSERT INTO documents (source, id, revision, label, state, seen_at, changed_at)"
            " VALUES (?1, ?2, ?3, ?4, 'seen', ?5, ?5)"
            " ON CONFLICT DO UPDATE SET state = 'seen', changed_at = excluded.changed_at,"
            " reason = '', name_hash = NULL, acknowledged_at = NULL"
            " WHERE state NOT IN ('staged', 'delivered')",
            [(*columns(key), label, at) for key, label in documents],
        )

    async def stage(self, documents: Sequence[Staged], at: float) -> list[Allocation]:
        """Record that files lie ready and are about to become visible: durable on return.

        Gives each document a name that no other one has had, or says of which it is a duplicate;
        of those nothing is recorded, nor of a document that has no row or has been through this.
        """
        if not documents:
            return []
        apply = partial(allocate, documents, at, self._numbers)
        return await self.writer.change(apply, durable=True)

    async def rename(self, taken: Sequence[Taken], at: float) -> list[Claim]:
        """Give staged documents other names, for somebody took theirs: durable on return."""
        if not taken:
            return []
        return await self.writer.change(partial(reallocate, taken, at, self._numbers), durable=True)

    async def delivered(self, keys: Iterable[Key], at: float) -> None:
        """Record that documents stand durable in their folders: durable on return."""
        await self.writer.record(
            "UPDATE documents SET state = 'delivered', staged = '', companions = '', reason = '',"
            " delivered_at = ?4, changed_at = ?4 WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [(*columns(key), at) for key in keys],
        )

    async def duplicates(self, found: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents are delivered already, (key, of which) each: durable on return."""
        await self._failed(State.DUPLICATE, found, at)

    async def skipped(self, found: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents are left out by a rule, (key, which) each: durable on return."""
        await self._failed(State.SKIPPED, found, at)

    async def unstaged(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that staged documents did not become visible, (key, reason) each: durable."""
        await self.writer.record(
            "UPDATE documents SET state = 'waiting', reason = ?4, changed_at = ?5, staged = '',"
            " companions = '', name_hash = NULL, identity = NULL, number_hash = NULL"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [(*columns(key), reason, at) for key, reason in failed],
        )

    async def waiting(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents failed for now, (key, reason) each: a later poll takes them."""
        await self._failed(State.WAITING, failed, at)

    async def quarantined(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents failed for good, (key, reason) each: durable on return."""
        await self._failed(State.QUARANTINED, failed, at)

    async def _failed(self, state: State, failed: Iterable[tuple[Key, str]], at: float) -> None:
        # Of a staged document only the temporary folder knows whether it became visible.
        await self.writer.record(
            "UPDATE documents SET state = ?4, reason = ?5, changed_at = ?6"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state NOT IN ('staged', 'delivered')",
            [(*columns(key), state.value, reason, at) for key, reason in failed],
        )

    async def acknowledged(self, keys: Iterable[Key], at: float) -> None:
        """Note that the source has been told; lost in a power cut, it is told again."""
        await self.writer.note(
            "UPDATE documents SET acknowledged_at = ?4"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [(*columns(key), at) for key in keys],
        )

    async def unacknowledged(self, source: str) -> list[tuple[Key, Known]]:
        """What has come to its end and the source has not been told of."""

        def apply(connection: sqlite3.Connection) -> list[tuple[Key, Known]]:
            rows = connection.execute(
                "SELECT id, revision, state, changed_at, acknowledged_at, reason FROM documents"
                " WHERE source = ? AND acknowledged_at IS NULL"
                " AND state IN ('delivered', 'duplicate', 'skipped', 'quarantined')",
                (source,),
            )
            return [(Key(source, r[0], r[1]), Known(State(r[2]), *r[3:])) for r in rows]

        return await self.writer.change(apply)

    async def unfinished(self) -> list[Unfinished]:
        """What an earlier process left staged."""

        def apply(connection: sqlite3.Connection) -> list[Unfinished]:
            rows = connection.execute(
                "SELECT source, id, revision, staged, companions, path FROM documents"
                " WHERE state = 'staged'"
            )
            return [Unfinished(Key(*r[:3]), r[3], tuple(r[4].split()), r[5]) for r in rows]

        return await self.writer.change(apply)

    async def polled(self, source: str, at: float, error: str = "") -> None:
        """Note that a source was read to its end, or why it was not."""
        await self.writer.note(
            "INSERT INTO sources (name, polled_at, error, error_at) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT DO UPDATE SET polled_at = coalesce(?2, polled_at), error = ?3,"
            " error_at = ?4",
            [(source, None if error else at, error, at if error else None)],
        )


@asynccontextmanager
async def open_ledger(path: Path, patience: float = math.inf) -> AsyncIterator[Ledger]:
    """Open or make the ledger and run its writer; what was asked for is committed on leaving.

    patience: seconds to wait for a disk that refuses. A file that is no ledger, or a damaged one,
    is kept aside under another name, and a new one begun. Raises StateError when it is a newer
    program's, or the disk refuses.
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
