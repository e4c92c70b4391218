"""The ledger: what became of every document, in SQLite, by one writer.

Changes are grouped: all that arrive while one commit is being flushed share the next one. What
nobody has to wait for (a document was seen, a source was told) goes along with the others.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import structlog

from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.records import (
    SCHEMA,
    VERSION,
    Claim,
    Delivery,
    Known,
    Name,
    Staged,
    State,
    Twin,
    Unfinished,
)

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Changes in one commit, at most.
GROUP = 256
#: Seconds that changes nobody waits for may wait for others.
LINGER = 0.05
#: Seconds between two tries to write where the disk refuses.
PAUSE = 1.0

#: Bytes of a ledger that is looked through at each start; a larger one where damage was met.
CHECKED = 8_000_000

#: What the disk may refuse and somebody can mend, as SQLite's primary result codes.
MENDABLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_PERM,
}


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


class Ledger:
    """The open ledger of one running program. Made by open_ledger()."""

    def __init__(self, connection: sqlite3.Connection, patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._hurried = anyio.Event()
        self._changes, self._inbox = anyio.create_memory_object_stream[_Change](GROUP)

    async def write_changes(self) -> None:
        """Be the one writer, until close(): commit all that waits, then tell those who wait."""
        # It ends by close(), so that what has been asked for is written whatever else fails.
        with anyio.CancelScope(shield=True), self._inbox:
            async for first in self._inbox:
                group = [first]
                while len(group) < GROUP and self._inbox.statistics().current_buffer_used:
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
        """Take no more changes; write_changes() ends after what has been taken."""
        self._changes.close()

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

        return await self._change(apply) if keys else {}

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

        return await self._change(apply)

    async def seen(self, documents: Iterable[tuple[Key, str]], at: float) -> None:
        """Note that documents (key, label) were listed and are on their way."""
        await self._note(
            "INSERT INTO documents (source, id, revision, label, state, seen_at, changed_at)"
            " VALUES (?1, ?2, ?3, ?4, 'seen', ?5, ?5)"
            " ON CONFLICT DO UPDATE SET state = 'seen', changed_at = excluded.changed_at,"
            " reason = '', name_hash = NULL, acknowledged_at = NULL"
            " WHERE state NOT IN ('staged', 'delivered')",
            [(*_columns(key), label, at) for key, label in documents],
        )

    async def stage(self, documents: Sequence[Staged], at: float) -> list[Claim | Twin]:
        """Record that files lie ready and are about to become visible: durable on return.

        Gives each document a name that no other one has had, or says of which it is a duplicate;
        of those nothing is recorded.
        """

        def apply(connection: sqlite3.Connection) -> list[Claim | Twin]:
            return [_stage(connection, document, at) for document in documents]

        return await self._change(apply, durable=True) if documents else []

    async def delivered(self, deliveries: Iterable[Delivery], at: float) -> None:
        """Record that documents stand durable in their folders: durable on return."""
        await self._record(
            "UPDATE documents SET state = 'delivered', path = ?4, name_hash = ?5, staged = '',"
            " companions = '', reason = '', delivered_at = ?6, changed_at = ?6"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [(*_columns(d.key), d.name.path, d.name.hash, at) for d in deliveries],
        )

    async def duplicates(self, found: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents are delivered already, (key, of which) each: durable on return."""
        await self._failed(State.DUPLICATE, found, at)

    async def skipped(self, found: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents are left out by a rule, (key, which) each: durable on return."""
        await self._failed(State.SKIPPED, found, at)

    async def unstaged(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that staged documents did not become visible, (key, reason) each: durable."""
        await self._record(
            "UPDATE documents SET state = 'waiting', reason = ?4, changed_at = ?5, staged = '',"
            " companions = '', name_hash = NULL, identity = NULL, number_hash = NULL"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [(*_columns(key), reason, at) for key, reason in failed],
        )

    async def waiting(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents failed for now, (key, reason) each: a later poll takes them."""
        await self._failed(State.WAITING, failed, at)

    async def quarantined(self, failed: Iterable[tuple[Key, str]], at: float) -> None:
        """Record that documents failed for good, (key, reason) each: durable on return."""
        await self._failed(State.QUARANTINED, failed, at)

    async def _failed(self, state: State, failed: Iterable[tuple[Key, str]], at: float) -> None:
        # Of a staged document only the temporary folder knows whether it became visible.
        await self._record(
            "UPDATE documents SET state = ?4, reason = ?5, changed_at = ?6"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state NOT IN ('staged', 'delivered')",
            [(*_columns(key), state.value, reason, at) for key, reason in failed],
        )

    async def acknowledged(self, keys: Iterable[Key], at: float) -> None:
        """Note that the source has been told; lost in a power cut, it is told again."""
        await self._note(
            "UPDATE documents SET acknowledged_at = ?4"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3",
            [(*_columns(key), at) for key in keys],
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

        return await self._change(apply)

    async def unfinished(self) -> list[Unfinished]:
        """What an earlier process left staged."""

        def apply(connection: sqlite3.Connection) -> list[Unfinished]:
            rows = connection.execute(
                "SELECT source, id, revision, staged, companions, path FROM documents"
                " WHERE state = 'staged'"
            )
            return [Unfinished(Key(*r[:3]), r[3], tuple(r[4].split()), r[5]) for r in rows]

        return await self._change(apply)

    async def polled(self, source: str, at: float, error: str = "") -> None:
        """Note that a source was read to its end, or why it was not."""
        await self._note(
            "INSERT INTO sources (name, polled_at, error, error_at) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT DO UPDATE SET polled_at = coalesce(?2, polled_at), error = ?3,"
            " error_at = ?4",
            [(source, None if error else at, error, at if error else None)],
        )

    async def _record(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Apply a statement to rows and wait until that is durable."""
        if rows:
            await self._change(_many(statement, rows), durable=True)

    async def _note(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Apply a statement to rows in its turn, which nobody waits for."""
        if not rows:
            return
        change = _Change(_many(statement, rows), durable=False)
        try:
            self._changes.send_nowait(change)
        except anyio.WouldBlock:
            await self._changes.send(change)

    async def _change(
        self, apply: Callable[[sqlite3.Connection], T], *, durable: bool = False
    ) -> T:
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
        if _is_damage(change.error):
            raise StateError(
                "the ledger",
                f"it is damaged ({change.error})",
                "Start again: it is kept aside then, and a new one begins",
            ) from change.error
        if change.error is not None:
            raise change.error
        result: T = change.result
        return result

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
            if not _is_mendable(error):
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


@asynccontextmanager
async def open_ledger(path: Path, patience: float = math.inf) -> AsyncIterator[Ledger]:
    """Open or make the ledger and run its writer; what was asked for is committed on leaving.

    patience: seconds to wait for a disk that refuses. A file that is no ledger, or a damaged one,
    is kept aside under another name, and a new one begun. Raises StateError when it is a newer
    program's, or the disk refuses.
    """
    connection = await anyio.to_thread.run_sync(_open, path)
    with closing(connection):
        ledger = Ledger(connection, patience)
        async with anyio.create_task_group() as group:
            group.start_soon(ledger.write_changes)
            try:
                yield ledger
            finally:
                ledger.hurry()
                ledger.close()


def _columns(key: Key) -> tuple[str, str, str]:
    return (key.source, key.id, key.revision)


def _many(statement: str, rows: Sequence[tuple[Any, ...]]) -> Callable[[sqlite3.Connection], None]:
    def apply(connection: sqlite3.Connection) -> None:
        # A cursor that somebody still holds would keep the file open beyond close().
        connection.executemany(statement, rows).close()

    return apply


def _stage(connection: sqlite3.Connection, document: Staged, at: float) -> Claim | Twin:
    twin = _twin(connection, document)
    if twin is not None and not document.may_repeat:
        return twin
    name = next(name for name in document.names() if not _is_taken(connection, name, document.key))
    corrects = _corrected(connection, document)
    connection.execute(
        "UPDATE documents SET state = 'staged', staged = ?4, path = ?5, name_hash = ?6,"
        " company = ?7, kind = ?8, sha256 = ?9, size = ?10, checksum = ?11, warnings = ?12,"
        " verified_at = ?13, changed_at = ?14, companions = ?15, identity = ?16,"
        " number_hash = ?17 WHERE source = ?1 AND id = ?2 AND revision = ?3",
        (
            *_columns(document.key),
            *(document.staged, name.path, name.hash, document.company, document.kind),
            *(document.sha256, document.size, document.checksum, document.warnings),
            *(document.verified_at, at, " ".join(document.companions)),
            *(document.identity, document.number_hash),
        ),
    )
    return Claim(name.path, repeats=twin.label) if twin is not None else Claim(name.path, corrects)


def _is_taken(connection: sqlite3.Connection, name: Name, key: Key) -> bool:
    rows = connection.execute(
        "SELECT source, id, revision FROM documents WHERE name_hash = ? LIMIT 2", (name.hash,)
    )
    return any(Key(*row) != key for row in rows)


def _twin(connection: sqlite3.Connection, document: Staged) -> Twin | None:
    if document.identity is None:
        return None
    rows = connection.execute(
        "SELECT source, id, revision, label, state FROM documents WHERE identity = ?"
        " AND state IN ('staged', 'delivered') LIMIT 2",
        (document.identity,),
    )
    twins = (Twin(Key(*row[:3]), row[3], State(row[4])) for row in rows)
    return next((twin for twin in twins if twin.key != document.key), None)


def _corrected(connection: sqlite3.Connection, document: Staged) -> str:
    if document.number_hash is None:
        return ""
    rows = connection.execute(
        "SELECT source, id, revision, label FROM documents WHERE number_hash = ?"
        " AND state IN ('staged', 'delivered') LIMIT 2",
        (document.number_hash,),
    )
    return next((row[3] for row in rows if Key(*row[:3]) != document.key), "")


def _open(path: Path) -> sqlite3.Connection:
    suspect = path.with_name(f"{path.name}.suspect")
    try:
        connection = _connect(path)
        if not suspect.exists() and path.stat().st_size > CHECKED:
            return connection
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer == "ok":
            suspect.unlink(missing_ok=True)
            return connection
        connection.close()
        damage = str(answer)
    except sqlite3.OperationalError as error:
        if not path.exists() or _is_mendable(error):
            raise StateError(
                str(path),
                f"the ledger can't be opened ({error})",
                "Mend the disk that holds state_dir, or let this account write there",
            ) from None
        damage = str(error)
    except sqlite3.DatabaseError as error:
        damage = str(error)
    aside = _put_aside(path)
    suspect.unlink(missing_ok=True)
    log.error(
        "ledger damaged",
        reason=damage,
        kept_as=str(aside),
        remedy="A new one begins: what the source still lists is brought, also what was delivered"
        " and not yet acknowledged; compare the folders, and send the file to support",
    )
    return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    fresh = not path.exists()
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StateError(
                str(path),
                "the ledger was written by a newer synqup",
                "Install that version again, or a newer one",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if version == 0:
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            path.chmod(0o640)
    except BaseException:
        connection.close()
        raise
    if fresh:
        log.info("a new ledger begins", path=str(path))
    return connection


def _put_aside(path: Path) -> Path:
    """Give the ledger's files another name, which tells when."""
    aside = path.with_name(time.strftime(f"{path.name}.damaged-%Y%m%dT%H%M%S"))
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def _is_mendable(error: Exception | None) -> bool:
    return (
        isinstance(error, sqlite3.OperationalError)
        and getattr(error, "sqlite_errorcode", 0) & 0xFF in MENDABLE
    )


def _is_damage(error: Exception | None) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


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
        if _is_damage(error):
            _suspect(connection)
        for change in group:
            change.error = error


def _suspect(connection: sqlite3.Connection) -> None:
    """Have the next start look closely: SQLite has found the file damaged."""
    with suppress(sqlite3.Error, OSError):
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        Path(f"{path}.suspect").touch()
