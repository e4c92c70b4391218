"""PostgreSQL errors of the ledger: what an operator can repair, and how to say it.

An error is *recoverable* if its cause lies outside of the program (a server that is not there, a
network that is cut, a full disk): the same succeeds once the cause is gone. Where the connection is
lost while a commit is under way, nobody knows whether it was made.
"""

from __future__ import annotations

import psycopg
from psycopg import errors

_UNREACHABLE = (
    "PostgreSQL can't be reached",
    "Start the server, or repair the network to it, or correct the dsn of [cluster]",
)
_REFUSED = (
    "PostgreSQL refuses the sign-in",
    "Correct the user, the password or the database in the dsn of [cluster]",
)
_BUSY = (
    "PostgreSQL is kept busy by another session, or by too much",
    "See what holds its locks (pg_stat_activity), and end it",
)
_FULL = ("PostgreSQL has no room", "Make room on the disk of the server")
_READ_ONLY = (
    "PostgreSQL takes no changes: it is a standby, or set to be read only",
    "Name the primary server in the dsn of [cluster]",
)
_RIGHTS = (
    "the account may not do that in PostgreSQL",
    "Make it the owner of its database, and of the tables there",
)
_DAMAGED = (
    "PostgreSQL has found its own files damaged",
    "Restore the server with all of its write-ahead log: what the ledger lacks is delivered twice",
)
#: The first that an error is an instance of; else _UNREACHABLE.
_WORDS: tuple[tuple[tuple[type[Exception], ...], tuple[str, str]], ...] = (
    (
        (
            errors.InvalidAuthorizationSpecification,
            errors.InvalidPassword,
            errors.InvalidCatalogName,
        ),
        _REFUSED,
    ),
    (
        (
            errors.LockNotAvailable,
            errors.QueryCanceled,
            errors.DeadlockDetected,
            errors.SerializationFailure,
            errors.TooManyConnections,
        ),
        _BUSY,
    ),
    ((errors.DiskFull, errors.OutOfMemory), _FULL),
    ((errors.ReadOnlySqlTransaction,), _READ_ONLY),
    ((errors.InsufficientPrivilege,), _RIGHTS),
    ((errors.DataCorrupted, errors.IndexCorrupted), _DAMAGED),
)
#: Those of them that are no OperationalError of psycopg.
_ALSO = (
    errors.ReadOnlySqlTransaction,
    errors.InsufficientPrivilege,
    errors.DataCorrupted,
    errors.IndexCorrupted,
    errors.IdleInTransactionSessionTimeout,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
)


class Unsuitable(Exception):
    """The server can be reached, and its settings don't let it hold a ledger."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class ConnectionLost(psycopg.OperationalError):
    """An answer did not come in time, or the connection has ended."""


def is_recoverable(error: BaseException | None) -> bool:
    """Whether something outside of the program is the cause, which can be repaired."""
    return isinstance(error, (psycopg.OperationalError, Unsuitable, *_ALSO))


def explain(error: BaseException | None) -> tuple[str, str]:
    """The reason and the remedy of a recoverable error, without a final period."""
    if isinstance(error, Unsuitable):
        return error.reason, error.remedy
    # What follows the first line is of libpq, and for programmers.
    said = next(iter(str(error).splitlines()), "")
    for kinds, (reason, remedy) in _WORDS:
        if isinstance(error, kinds):
            return f"{reason} ({said})", remedy
    reason, remedy = _UNREACHABLE
    # The library has no kinds for what the server says to a connection that it refuses.
    if "authentication failed" in said or "does not exist" in said or "no pg_hba.conf" in said:
        reason, remedy = _REFUSED
    return f"{reason} ({said})", remedy
