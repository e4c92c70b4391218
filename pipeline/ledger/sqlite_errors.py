"""SQLite errors of the ledger: what is damage, what an operator can repair, and how to say it.

Two kinds are told apart from bugs. A *recoverable* error has its cause outside of the program (a
full disk, a lock, missing rights): the same statement succeeds once the cause is gone. *Damage*
means that SQLite found the file itself corrupt.
"""

from __future__ import annotations

import errno
import sqlite3

from pipeline.files import os_reason

_LOCKED = (
    "another program has it open and keeps it locked",
    "Close that program (a backup, an antivirus, a database browser)",
)
_FULL = ("the disk is full", "Make room on the disk that holds state_dir")
_BROKEN = (
    "the disk reports an error",
    "See that the disk that holds state_dir is sound and has room",
)
_NO_ACCESS = (
    "this account can't use it",
    "Let this account read and write state_dir and all that lies in it",
)
#: Recoverable errors by SQLite's primary result codes: the reason and the remedy.
RECOVERABLE = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _BROKEN,
    sqlite3.SQLITE_READONLY: _NO_ACCESS,
    sqlite3.SQLITE_CANTOPEN: _NO_ACCESS,
    sqlite3.SQLITE_PERM: _NO_ACCESS,
    sqlite3.SQLITE_AUTH: _NO_ACCESS,
}
#: The same by the operating system's codes; any other OSError counts as an error of the disk.
RECOVERABLE_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _NO_ACCESS),
}


def primary_code(error: BaseException | None) -> int:
    """SQLite's primary result code of an error; 0 if the error is not SQLite's."""
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code


def is_recoverable(error: BaseException | None) -> bool:
    """Whether SQLite was refused by something outside of the program, which can be repaired."""
    return isinstance(error, sqlite3.Error) and primary_code(error) in RECOVERABLE


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite found the file damaged."""
    return primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def explain(error: BaseException | None) -> tuple[str, str]:
    """The reason and the remedy of an OSError or a recoverable error, without a final period."""
    if isinstance(error, OSError):
        reason, remedy = RECOVERABLE_ERRNO.get(error.errno or 0, _BROKEN)
        return f"{reason} ({os_reason(error)})", remedy
    reason, remedy = RECOVERABLE[primary_code(error)]
    return f"{reason} ({error})", remedy


def check_structure(connection: sqlite3.Connection) -> None:
    """Raise damage as a DatabaseError when SQLite's quick check fails; it reads the whole file."""
    result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        damage = sqlite3.DatabaseError(result)
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage
