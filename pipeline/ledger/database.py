"""Database file of the ledger: opened, created, checked for damage, kept aside, copied.

A ledger is never overwritten: a damaged one gets another name before a new one begins, one of an
earlier version is migrated with a copy kept (`migration`), one of a newer version is refused.
"""

from __future__ import annotations

import shutil
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path

import structlog

from pipeline.durable import flush_folder
from pipeline.errors import StateError
from pipeline.ledger.migration import migrate
from pipeline.ledger.schema import SCHEMA, VERSION
from pipeline.ledger.sqlite_connection import BUSY_TIMEOUT, SqliteConnection
from pipeline.ledger.sqlite_errors import (
    check_structure,
    explain,
    is_damage,
    is_recoverable,
    primary_code,
)

log = structlog.get_logger(__name__)

#: Bytes up to which a ledger is checked at each start; a larger one only after damage was found.
CHECK_LIMIT = 8_000_000
#: SQL: what was staged in a ledger that is put in place of a later one waits: nothing tells any
#: more whether it became visible since, and to be fetched once more is better than never.
STAGED_WAIT = (
    "UPDATE documents SET state = 'waiting', staged = '', companions = '', name_hash = NULL,"
    " identity = NULL, number_hash = NULL, reason ="
    " 'it was staged when the backup was made; it will be fetched again' WHERE state = 'staged'"
)
#: Attempts to copy a ledger that another program is writing.
COPY_ATTEMPTS = 5


def open_database(path: Path) -> SqliteConnection:
    """Open or create the ledger at a path. Raises StateError, as open_ledger() says."""
    try:
        return _open(path)
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, OSError) or is_recoverable(error):
            reason, remedy = explain(error)
        else:
            reason, remedy = str(error), "If it goes on, send this line to support"
        raise StateError(
            str(path), f"the ledger can't be opened: {reason}", f"{remedy}; then start again"
        ) from None


def copy_database(path: Path, copy: Path) -> None:
    """Copy a ledger, which may be in use and may be missing, without a lock. Raises StateError."""
    for attempt in range(COPY_ATTEMPTS):
        try:
            for suffix in ("", "-wal"):
                source = path.with_name(path.name + suffix)
                target = copy.with_name(copy.name + suffix)
                target.unlink(missing_ok=True)
                if source.exists():
                    shutil.copyfile(source, target)
            if copy.exists():
                _connect(copy, check=True).close()
        except OSError as error:
            reason, remedy = explain(error)
            raise StateError(str(path), f"the ledger can't be read: {reason}", remedy) from None
        except sqlite3.Error as error:
            # A program that wrote during the copy leaves it inconsistent; the next one may not be.
            if attempt == COPY_ATTEMPTS - 1:
                raise StateError(
                    str(path),
                    f"the ledger can't be read as a whole ({error})",
                    "Try again, or stop the service first",
                ) from None
        else:
            return


def snapshot_database(path: Path, copy: Path) -> int:
    """Copy a ledger as of one moment, also while it is written; the version of its schema.

    copy: must not exist; it is whole, checked and in one file. Raises StateError.
    """
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        with closing(sqlite3.connect(copy)) as connection:
            check_structure(connection)
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except (OSError, sqlite3.Error) as error:
        reason, remedy = str(error), "Repair it first: the next start of synqup says how"
        if isinstance(error, OSError) or is_recoverable(error):
            reason, remedy = explain(error)
        raise StateError(str(path), f"the ledger can't be copied: {reason}", remedy) from None


def prepare_restored(path: Path) -> None:
    """Prepare the copy of a ledger to be used in place of a later one. Raises StateError.

    It is checked as a whole, and what was staged waits (STAGED_WAIT).
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            check_structure(connection)
            connection.execute(STAGED_WAIT)
    except (OSError, sqlite3.Error) as error:
        raise StateError(
            str(path), f"the ledger of the backup can't be used ({error})", "Use another backup"
        ) from None


def close_file(path: Path) -> None:
    """Have one file hold all of a ledger that nobody uses, so that it can be moved. StateError."""
    try:
        with closing(sqlite3.connect(path, BUSY_TIMEOUT, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except (OSError, sqlite3.Error) as error:
        reason, remedy = str(error), "If it goes on, send this line to support"
        if isinstance(error, OSError) or is_recoverable(error):
            reason, remedy = explain(error)
        raise StateError(str(path), f"the ledger can't be closed: {reason}", remedy) from None


def mark_suspect(connection: sqlite3.Connection) -> None:
    """Have the next start check a ledger of any size: SQLite has found the file damaged."""
    with suppress(sqlite3.Error, OSError):
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        Path(f"{path}.suspect").touch()


def _open(path: Path) -> SqliteConnection:
    for suffix in ("", "-wal", "-shm"):
        _refuse_special_file(path.with_name(path.name + suffix))
    suspect = path.with_name(f"{path.name}.suspect")
    try:
        connection = _connect(path, check=suspect.exists())
    except sqlite3.DatabaseError as error:
        # A schema that does not fit counts as damage; an error with an outside cause does not.
        if not is_damage(error) and primary_code(error) != sqlite3.SQLITE_ERROR:
            raise
        aside = _move_aside(path)
        log.error(
            "ledger damaged",
            reason=str(error),
            kept_as=str(aside),
            remedy="A new one begins: what the source still lists is brought, also what was"
            " delivered and not yet acknowledged; compare the folders, and send the file to"
            " support",
        )
        connection = _connect(path)
    try:
        suspect.unlink(missing_ok=True)
        # SQLite flushes its file, but ignores a folder that can't be flushed.
        flush_folder(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_special_file(path: Path) -> None:
    """Raise StateError where a link, a folder or a device lies in the place of the ledger."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise StateError(
                str(path),
                "the ledger is to lie here, and this is a link or no file at all",
                "Move it away; then start again",
            )


def _connect(path: Path, *, check: bool = False) -> SqliteConnection:
    """Connect to a ledger of the current version, which is created or migrated to get there.

    check: whether to check it for damage also where it is larger than CHECK_LIMIT.
    """
    is_new = not path.exists()
    connection = sqlite3.connect(
        path,
        BUSY_TIMEOUT,
        check_same_thread=False,
        isolation_level=None,
        factory=SqliteConnection,
    )
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if not 0 <= version <= VERSION:
            raise StateError(
                str(path),
                f"the ledger was written by a newer synqup (version {version} of the ledger;"
                f" this synqup knows {VERSION})",
                "Install that version again, or a newer one",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if version == 0:
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            path.chmod(0o640)
        elif version < VERSION:
            migrate(connection, path, version)
        if check or path.stat().st_size <= CHECK_LIMIT:
            check_structure(connection)
    except BaseException:
        connection.close()
        raise
    if is_new:
        log.info("new ledger created", path=str(path))
    return connection


def _move_aside(path: Path) -> Path:
    """Rename the ledger's files to a name that holds the time; the new name."""
    aside = path.with_name(time.strftime(f"{path.name}.damaged-%Y%m%dT%H%M%S"))
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    flush_folder(path.parent)
    return aside
