"""Copies of what was delivered: kept for a while, compressed and bounded, in one SQLite file.

They are a convenience for a delivery that somebody wants to have again: without a copy the
platform is asked. So nothing here is flushed, a file that is damaged gives way to a new one, and
what a crash loses is lost. Bytes are kept once for each SHA-256.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from pipeline.document import Key

#: Copies that are removed in one step.
STEP = 200
#: Free pages that are given back to the disk in one step.
PAGES = 2000
#: Level of compression: documents are text, and the fastest level takes most of it off.
LEVEL = 1
#: The least part of the bound that a document may take.
PART = 4

_SCHEMA = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS contents (digest TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS copies (
    document TEXT NOT NULL, extension TEXT NOT NULL, digest TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (document, extension)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS copies_at ON copies (at);
CREATE INDEX IF NOT EXISTS copies_digest ON copies (digest);
"""


class Copy(Struct, frozen=True):
    """One file of a delivered document. extension: of a sidecar; "" for the document itself."""

    key: Key
    extension: str
    content: bytes


class Copies:
    """The copies of one state folder. Each method raises OSError or sqlite3.Error, and blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, copies: Sequence[Copy], limit: int) -> None:
        """Keep files, in place of the oldest where all would take more than `limit` bytes."""
        now = time.time()
        with self._open() as connection:
            for one in copies:
                if len(one.content) * PART > limit:
                    continue
                digest = sha256(one.content).hexdigest()
                if not _has(connection, digest):
                    packed = zlib.compress(one.content, LEVEL)
                    connection.execute("INSERT INTO contents VALUES (?, ?)", (digest, packed))
                connection.execute(
                    "INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?)",
                    (one.key.digest, one.extension, digest, now),
                )
            while _used(connection) > limit and _remove_oldest(connection, now):
                pass
            connection.execute("COMMIT")
            connection.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()

    def get(self, key: Key, extension: str = "") -> bytes | None:
        """A file of a document, whole; None if there is no copy of it."""
        if not self._path.exists():
            return None
        with self._open() as connection:
            row = connection.execute(
                "SELECT c.digest, t.content FROM copies c JOIN contents t USING (digest)"
                " WHERE document = ? AND extension = ?",
                (key.digest, extension),
            ).fetchone()
        if row is None:
            return None
        with suppress(zlib.error):
            content = zlib.decompress(row[1])
            if sha256(content).hexdigest() == row[0]:
                return content
        return None

    def remove(self, before: float) -> int:
        """Remove some that are older; how many. 0 when there are none left."""
        if not self._path.exists():
            return 0
        with self._open() as connection:
            removed = _remove_oldest(connection, before)
            connection.execute("COMMIT")
            connection.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
        return removed

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction; a file that is no database of ours is begun anew."""
        try:
            connection = self._connect()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise
            self._discard()
            connection = self._connect()
        with closing(connection):
            try:
                yield connection
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                    self._discard()
                raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, 5.0, isolation_level=None)
        try:
            self._path.chmod(0o600)
            connection.executescript(_SCHEMA)
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            connection.close()
            raise
        return connection

    def _discard(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _has(connection: sqlite3.Connection, digest: str) -> bool:
    found = connection.execute("SELECT 1 FROM contents WHERE digest = ?", (digest,))
    return found.fetchone() is not None


def _used(connection: sqlite3.Connection) -> int:
    """Bytes of the pages that hold something."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


def _remove_oldest(connection: sqlite3.Connection, before: float) -> int:
    """Remove up to STEP of those from before a moment, and the bytes that nobody needs any more."""
    rows = connection.execute(
        "SELECT document, extension, digest FROM copies WHERE at <= ? ORDER BY at LIMIT ?",
        (before, STEP),
    ).fetchall()
    connection.executemany(
        "DELETE FROM copies WHERE document = ? AND extension = ?", [row[:2] for row in rows]
    )
    connection.executemany(
        "DELETE FROM contents WHERE digest = ?1 AND NOT EXISTS"
        " (SELECT 1 FROM copies WHERE digest = ?1)",
        [(row[2],) for row in rows],
    )
    return len(rows)
