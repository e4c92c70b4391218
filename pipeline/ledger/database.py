"""The ledger's file: made when missing, looked through, kept aside when it is damaged."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path

import structlog

from pipeline.durable import flush_folder
from pipeline.errors import StateError
from pipeline.ledger.schema import MIGRATIONS, SCHEMA, VERSION

log = structlog.get_logger(__name__)

#: Bytes of a ledger that is looked through at each start; a larger one where damage was met.
CHECK_LIMIT = 8_000_000
#: Seconds that SQLite itself waits for another program that holds a lock.
BUSY_TIMEOUT = 5.0

#: How often a ledger is copied until the copy is whole.
COPIES = 5

_LOCKED = (
    "another program has it open and keeps it locked",
    "Close that program (a backup, an antivirus, a database browser)",
)
_FULL = ("the disk is full", "Make room on the disk that holds state_dir")
_BROKEN = (
    "the disk reports an error",
    "See that the disk that holds state_dir is sound and has room",
)
_NOT_OURS = (
    "this account can't use it",
    "Let this account read and write state_dir and all that lies in it",
)
#: What may be refused and somebody can mend, by SQLite's primary result codes: what to say of it,
#: and what to do.
REFUSALS = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _BROKEN,
    sqlite3.SQLITE_READONLY: _NOT_OURS,
    sqlite3.SQLITE_CANTOPEN: _NOT_OURS,
    sqlite3.SQLITE_PERM: _NOT_OURS,
    sqlite3.SQLITE_AUTH: _NOT_OURS,
}
#: The same by the system's own codes.
SYSTEM = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _NOT_OURS),
}


def open_database(path: Path) -> sqlite3.Connection:
    """Open or make the ledger at a path; open_ledger() says what may be wrong with it."""
    try:
        return _open(path)
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, OSError) or is_refusal(error):
            said, remedy = words(error)
        else:
            said, remedy = str(error), "If it goes on, send this line to support"
        raise StateError(
            str(path), f"the ledger can't be opened: {said}", f"{remedy}; then start again"
        ) from None


def copy_database(path: Path, copy: Path) -> None:
    """Copy a ledger, which may be in use, without touching it; there may be none. StateError."""
    for attempt in range(COPIES):
        try:
            for suffix in ("", "-wal"):
                source = path.with_name(path.name + suffix)
                target = copy.with_name(copy.name + suffix)
                target.unlink(missing_ok=True)
                if source.exists():
                    shutil.copyfile(source, target)
            if copy.exists():
                with closing(_connect(copy)) as connection:
                    _look_through(connection)
        except OSError as error:
            said, remedy = words(error)
            raise StateError(str(path), f"the ledger can't be read: {said}", remedy) from None
        except sqlite3.Error as error:
            # A program that was writing just then leaves a copy that is not whole.
            if attempt == COPIES - 1:
                raise StateError(
                    str(path),
                    f"the ledger can't be read as a whole ({error})",
                    "Try again, or stop the service first",
                ) from None
        else:
            return


def _open(path: Path) -> sqlite3.Connection:
    for suffix in ("", "-wal", "-shm"):
        _refuse_strange(path.with_name(path.name + suffix))
    suspect = path.with_name(f"{path.name}.suspect")
    try:
        connection = _connect(path)
        if suspect.exists() or path.stat().st_size <= CHECK_LIMIT:
            _look_through(connection)
    except sqlite3.DatabaseError as error:
        # A schema that does not fit counts as damage; what can be mended outside does not.
        if not is_damage(error) and _code(error) != sqlite3.SQLITE_ERROR:
            raise
        aside = _put_aside(path)
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
        # SQLite flushes its file, and keeps silent where the folder that names it can't be.
        flush_folder(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_strange(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise StateError(
                str(path),
                "the ledger is to lie here, and this is a link or no file at all",
                "Move it away; then start again",
            )


def _connect(path: Path) -> sqlite3.Connection:
    fresh = not path.exists()
    connection = sqlite3.connect(path, BUSY_TIMEOUT, check_same_thread=False, isolation_level=None)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if not 0 <= version <= VERSION:
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
        elif version < VERSION:
            _bring_forward(connection, path, version)
    except BaseException:
        connection.close()
        raise
    if fresh:
        log.info("a new ledger begins", path=str(path))
    return connection


def _bring_forward(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Bring the ledger of an earlier version to this one, all at once; a copy of it is kept."""
    kept = path.with_name(f"{path.name}.v{version}")
    part = kept.with_name(f"{kept.name}.part")
    try:
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(part)) as copy:
            # Within a transaction, for a copy waits for a lock without an end.
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sources").fetchone()
            connection.backup(copy)
            connection.execute("COMMIT")
        part.chmod(0o640)
        part.replace(kept)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)
    steps = "".join(MIGRATIONS[step] for step in range(version, VERSION))
    connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
    log.info("ledger brought forward", version=VERSION, before=version, kept_as=str(kept))


def _look_through(connection: sqlite3.Connection) -> None:
    try:
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            damage = sqlite3.DatabaseError(answer)
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
    except BaseException:
        connection.close()
        raise


def _put_aside(path: Path) -> Path:
    """Give the ledger's files another name, which tells when."""
    aside = path.with_name(time.strftime(f"{path.name}.damaged-%Y%m%dT%H%M%S"))
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    flush_folder(path.parent)
    return aside


def is_refusal(error: BaseException | None) -> bool:
    """Whether something outside refuses, which somebody can mend."""
    return isinstance(error, sqlite3.Error) and _code(error) in REFUSALS


def words(error: BaseException | None) -> tuple[str, str]:
    """What to say of a refusal, and what to do, as the beginning of a sentence."""
    if isinstance(error, OSError):
        said, remedy = SYSTEM.get(error.errno or 0, _BROKEN)
        return f"{said} ({error.strerror or error})", remedy
    said, remedy = REFUSALS[_code(error)]
    return f"{said} ({error})", remedy


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite has found the file damaged."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def suspect(connection: sqlite3.Connection) -> None:
    """Have the next start look closely: SQLite has found the file damaged."""
    with suppress(sqlite3.Error, OSError):
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        Path(f"{path}.suspect").touch()


def _code(error: BaseException | None) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code
