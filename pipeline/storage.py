"""The ledger's file: made when missing, looked through, kept aside when it is damaged."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import structlog

from pipeline.errors import StateError
from pipeline.records import SCHEMA, VERSION

log = structlog.get_logger(__name__)

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


def open_file(path: Path) -> sqlite3.Connection:
    """Open or make the ledger at a path; open_ledger() says what may be wrong with it."""
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
        if not path.exists() or is_mendable(error):
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


def is_mendable(error: Exception | None) -> bool:
    """Whether the disk refuses, which somebody can mend."""
    return (
        isinstance(error, sqlite3.OperationalError)
        and getattr(error, "sqlite_errorcode", 0) & 0xFF in MENDABLE
    )


def is_damage(error: Exception | None) -> bool:
    """Whether SQLite has found the file damaged."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def suspect(connection: sqlite3.Connection) -> None:
    """Have the next start look closely: SQLite has found the file damaged."""
    with suppress(sqlite3.Error, OSError):
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        Path(f"{path}.suspect").touch()
