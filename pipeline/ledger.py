"""The ledger: what became of every document, in SQLite, by one writer.

A row goes from `seen` to `staged` to `delivered`, or to `quarantined`, or to `waiting` when it
failed for now; `acknowledged_at` says when the source was told. Changes are grouped: all that
arrive while one commit is being flushed share the next one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from msgspec import Struct

from pipeline.document import Key
from pipeline.errors import StateError

T = TypeVar("T")

SCHEMA = """
CREATE TABLE documents (
    source TEXT NOT NULL, id TEXT NOT NULL, revision TEXT NOT NULL,
    label TEXT NOT NULL, state TEXT NOT NULL,
    company TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '',
    path TEXT NOT NULL DEFAULT '', name_hash INTEGER, staged TEXT NOT NULL DEFAULT '',
    sha256 TEXT NOT NULL DEFAULT '', size INTEGER, checksum TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '', warnings TEXT NOT NULL DEFAULT '',
    seen_at REAL NOT NULL, changed_at REAL NOT NULL, verified_at REAL,
    delivered_at REAL, acknowledged_at REAL,
    PRIMARY KEY (source, id, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_name ON documents (name_hash) WHERE name_hash IS NOT NULL;
CREATE INDEX documents_open ON documents (source, state)
    WHERE acknowledged_at IS NULL AND state IN ('delivered', 'quarantined');
CREATE INDEX documents_staged ON documents (source) WHERE state = 'staged';
CREATE INDEX documents_kept ON documents (changed_at) WHERE state IN ('quarantined', 'waiting');
CREATE TABLE sources (
    name TEXT PRIMARY KEY, polled_at REAL, error TEXT NOT NULL DEFAULT '', error_at REAL
) STRICT;
PRAGMA user_version = 1;
"""


class State(StrEnum):
    """What a row says of its document."""

    SEEN = "seen"
    STAGED = "staged"
    DELIVERED = "delivered"
    QUARANTINED = "quarantined"
    WAITING = "waiting"


class Known(Struct, frozen=True):
    """What the lister needs of a row; the times in seconds since 1970."""

    state: State
    changed_at: float
    acknowledged_at: float | None
    reason: str


class Staged(Struct, frozen=True):
    """A document about to become visible: everything that a delivery records of it.

    staged: the temporary file. path: the name it is meant to get. name_hash: of that name
    without regard to case. checksum: what vouched for the bytes, "structure" if only that did.
    """

    key: Key
    staged: str
    path: str
    name_hash: int
    company: str
    kind: str
    sha256: str
    size: int
    checksum: str
    warnings: str
    verified_at: float


class Delivery(Struct, frozen=True):
    """A document that stands in its folder: path is the name that it really got."""

    key: Key
    path: str
    name_hash: int


class Kept(Struct, frozen=True):
    """A document that was not delivered, as `synqup status` shows it."""

    source: str
    id: str
    label: str
    reason: str
    at: float


class Count(Struct, frozen=True):
    """How many documents of a company are in one state."""

    company: str
    kind: str
    state: State
    documents: int


class SourceState(Struct, frozen=True):
    """When a source was last read through, and what went wrong last, if it did since."""

    name: str
    polled_at: float | None
    error: str
    error_at: float | None


class Summary(Struct, frozen=True):
    """All that `synqup status` tells."""

    sources: tuple[SourceState, ...]
    counts: tuple[Count, ...]
    unacknowledged: int
    quarantine: tuple[Kept, ...]
    waiting: tuple[Kept, ...]


class _Change:
    """One caller's change on its way to the writer."""

    def __init__(self, apply: Callable[[sqlite3.Connection], Any]) -> None:
        self.apply = apply
        self.done = anyio.Event()
        self.result: Any = None
        self.error: Exception | None = None


class Ledger:
    """The open ledger of one running program. Made by open_ledger()."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._changes, self._inbox = anyio.create_memory_object_stream[_Change](256)

    async def write_changes(self) -> None:
        """Be the one writer, until close(): commit all that waits, then tell those who wait."""
        with self._inbox:
            async for first in self._inbox:
                group = [first]
                while self._inbox.statistics().current_buffer_used:
                    group.append(self._inbox.receive_nowait())
                await anyio.to_thread.run_sync(_commit, self._connection, group)
                for change in group:
                    change.done.set()

    def close(self) -> None:
        """Take no more changes; write_changes() ends after what has been taken."""
        self._changes.close()

    async def _change(self, apply: Callable[[sqlite3.Connection], T]) -> T:
        change = _Change(apply)
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
        if change.error is not None:
            raise change.error
        result: T = change.result
        return result

    async def known(self, keys: Sequence[Key]) -> dict[Key, Known]:
        """What the ledger says of these documents; those it has never seen are left out."""

        def apply(connection: sqlite3.Connection) -> dict[Key, Known]:
            found = {}
            for key in keys:
                row = connection.execute(
                    "SELECT state, changed_at, acknowledged_at, reason FROM documents"
                    " WHERE source = ? AND id = ? AND revision = ?",
                    (key.source, key.id, key.revision),
                ).fetchone()
                if row is not None:
                    found[key] = Known(State(row[0]), *row[1:])
            return found

        return await self._change(apply)

    async def seen(self, documents: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents (key, label) were listed and are on their way."""
        rows = [(*_columns(key), label, at) for key, label in documents]
        await self._many(
            "INSERT INTO documents (source, id, revision, label, state, seen_at, changed_at)"
            " VALUES (?1, ?2, ?3, ?4, 'seen', ?5, ?5)"
            " ON CONFLICT DO UPDATE SET state = 'seen', changed_at = excluded.changed_at,"
            " reason = '', name_hash = NULL, acknowledged_at = NULL",
            rows,
        )

    async def taken(self, name_hashes: Sequence[int]) -> set[int]:
        """Which of these names have been given to a document already."""

        def apply(connection: sqlite3.Connection) -> set[int]:
            marks = ",".join("?" * len(name_hashes))
            query = f"SELECT name_hash FROM documents WHERE name_hash IN ({marks})"  # noqa: S608
            return {row[0] for row in connection.execute(query, tuple(name_hashes))}

        return await self._change(apply)

    async def staged(self, documents: Sequence[Staged], at: float) -> None:
        """Record that files lie ready, durable, and are about to become visible."""
        await self._many(
            "UPDATE documents SET state = 'staged', staged = ?4, path = ?5, name_hash = ?6,"
            " company = ?7, kind = ?8, sha256 = ?9, size = ?10, checksum = ?11, warnings = ?12,"
            " verified_at = ?13, changed_at = ?14"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [
                (
                    *_columns(s.key),
                    *(s.staged, s.path, s.name_hash, s.company, s.kind, s.sha256, s.size),
                    *(s.checksum, s.warnings, s.verified_at, at),
                )
                for s in documents
            ],
        )

    async def delivered(self, deliveries: Iterable[Delivery], at: float) -> None:
        """Record that documents stand durable in their folders."""
        await self._many(
            "UPDATE documents SET state = 'delivered', path = ?4, name_hash = ?5, staged = '',"
            " reason = '', delivered_at = ?6, changed_at = ?6"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [(*_columns(d.key), d.path, d.name_hash, at) for d in deliveries],
        )

    async def unstaged(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that staged documents did not become visible, (key, reason) each."""
        await self._many(
            "UPDATE documents SET state = 'waiting', reason = ?4, changed_at = ?5, staged = '',"
            " name_hash = NULL WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [(*_columns(key), reason, at) for key, reason in failed],
        )

    async def waiting(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents failed for now, (key, reason) each: a later poll takes them."""
        await self._failed(State.WAITING, failed, at)

    async def quarantined(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents failed for good, (key, reason) each."""
        await self._failed(State.QUARANTINED, failed, at)

    async def _failed(self, state: State, failed: Iterable[tuple[Key, str]], at: float) -> None:
        # Of a staged document only the temporary folder knows whether it became visible.
        await self._many(
            "UPDATE documents SET state = ?4, reason = ?5, changed_at = ?6"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state NOT IN ('staged', 'delivered')",
            [(*_columns(key), state.value, reason, at) for key, reason in failed],
        )

    async def acknowledged(self, keys: Iterable[Key], at: float) -> None:
        """Record that the source has been told."""
        await self._many(
            "UPDATE documents SET acknowledged_at = ?4"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [(*_columns(key), at) for key in keys],
        )

    async def unacknowledged(self, source: str) -> list[tuple[Key, Known]]:
        """What was delivered or quarantined and the source has not been told of."""

        def apply(connection: sqlite3.Connection) -> list[tuple[Key, Known]]:
            rows = connection.execute(
                "SELECT id, revision, state, changed_at, acknowledged_at, reason FROM documents"
                " WHERE source = ? AND acknowledged_at IS NULL"
                " AND state IN ('delivered', 'quarantined')",
                (source,),
            )
            return [(Key(source, r[0], r[1]), Known(State(r[2]), *r[3:])) for r in rows]

        return await self._change(apply)

    async def unfinished(self) -> list[tuple[Key, str, str]]:
        """What an earlier process left staged: key, temporary file and intended path of each."""

        def apply(connection: sqlite3.Connection) -> list[tuple[Key, str, str]]:
            rows = connection.execute(
                "SELECT source, id, revision, staged, path FROM documents WHERE state = 'staged'"
            )
            return [(Key(*row[:3]), row[3], row[4]) for row in rows]

        return await self._change(apply)

    async def polled(self, source: str, at: float, error: str = "") -> None:
        """Record that a source was read to its end, or why it was not."""
        await self._many(
            "INSERT INTO sources (name, polled_at, error, error_at) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT DO UPDATE SET polled_at = coalesce(?2, polled_at), error = ?3,"
            " error_at = ?4",
            [(source, None if error else at, error, at if error else None)],
        )

    async def _many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        def apply(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        if rows:
            await self._change(apply)


@asynccontextmanager
async def open_ledger(path: Path) -> AsyncIterator[Ledger]:
    """Open or make the ledger and run its writer; what was asked for is committed on leaving.

    Raises StateError when the file is not a ledger, or is a newer program's.
    """
    connection = await anyio.to_thread.run_sync(_connect, path)
    with closing(connection):
        ledger = Ledger(connection)
        async with anyio.create_task_group() as group:
            group.start_soon(ledger.write_changes)
            try:
                yield ledger
            finally:
                ledger.close()


def summarise(path: Path) -> Summary:
    """Read what `synqup status` tells, beside a program that may be writing."""
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
        with closing(connection):
            return _summary(connection)
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from None


def _summary(connection: sqlite3.Connection) -> Summary:
    def kept(state: State) -> tuple[Kept, ...]:
        rows = connection.execute(
            "SELECT source, id, label, reason, changed_at FROM documents"
            " WHERE state = ? ORDER BY changed_at",
            (state.value,),
        )
        return tuple(Kept(*row) for row in rows)

    counts = connection.execute(
        "SELECT company, kind, state, count(*) FROM documents GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    unacknowledged = connection.execute(
        "SELECT count(*) FROM documents WHERE acknowledged_at IS NULL"
        " AND state IN ('delivered', 'quarantined')"
    ).fetchone()
    sources = connection.execute("SELECT name, polled_at, error, error_at FROM sources ORDER BY 1")
    return Summary(
        sources=tuple(SourceState(*row) for row in sources),
        counts=tuple(Count(r[0], r[1], State(r[2]), r[3]) for r in counts),
        unacknowledged=unacknowledged[0],
        quarantine=kept(State.QUARANTINED),
        waiting=kept(State.WAITING),
    )


def _columns(key: Key) -> tuple[str, str, str]:
    return (key.source, key.id, key.revision)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > 1:
            raise StateError(
                str(path),
                "the ledger was written by a newer synqup",
                "Install that version again, or a newer one",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit is on the disk before anyone acts on it, also after a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        if version == 0:
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _unusable(path, error) from None
    except StateError:
        connection.close()
        raise
    return connection


def _unusable(path: Path, error: sqlite3.Error) -> StateError:
    return StateError(
        str(path),
        f"the ledger can't be read ({error})",
        "Put the file aside and start again: what the source still lists is fetched anew",
    )


def _commit(connection: sqlite3.Connection, group: Sequence[_Change]) -> None:
    """Apply a group of changes in one transaction: all of them, or none and each is told."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for change in group:
            change.result = change.apply(connection)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - handed to those who asked, who raise it
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for change in group:
            change.error = error
