"""Database: a connection to PostgreSQL on which no statement can wait for ever.

The server's own limits don't help where its answers do not arrive: so each wait has a limit on this
side as well, after which the connection is given up and made anew by the next call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import _WaitTimeout

from pipeline.errors import RetryableError, StateError

T = TypeVar("T")
Row = tuple[Any, ...]

#: Seconds that a statement may take here, and on the server; that it may wait for a lock; and that
#: a connection may take to be made.
LIMIT = 8.0
LOCK_LIMIT = 4.0
CONNECT_LIMIT = 5

#: What a session asks of its server: an end of statements and transactions that hang, and of
#: sessions whose client is gone, so that what they hold is free within seconds.
_SESSION = {
    "statement_timeout": "{limit}",
    "lock_timeout": f"{LOCK_LIMIT * 1000:.0f}",
    "idle_in_transaction_session_timeout": "5000",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    # Heartbeats that are forgotten by a crash would look like a database that went back.
    "synchronous_commit": "on",
}


class DatabaseLost(RetryableError):
    """The database of the cluster can't be reached, or does not answer in time."""

    reason = "it can't be reached"
    remedy = "Check the server, the network and dsn of [cluster]; it will be retried"


class Connection(psycopg.Connection[Row]):
    """A connection whose waits end, and it with them. limit: seconds."""

    limit: float = LIMIT

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As the base class, but never for longer than the limit."""
        try:
            return super().wait(gen, interval, self.limit if timeout is None else timeout)
        except _WaitTimeout:
            # Nobody knows what the server makes of it; and a rollback would wait as long again.
            self.pgconn.finish()
            raise


class AsyncConnection(psycopg.AsyncConnection[Row]):
    """The same for an event loop."""

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as the base class
        """As the base class, but never for longer than LIMIT."""
        try:
            return await super().wait(gen, interval, LIMIT if timeout is None else timeout)
        except _WaitTimeout:
            self.pgconn.finish()
            raise


class Database:
    """One connection, which is made when it is needed. For one thread at a time, which it sees to.

    dsn: the connection string. name: what the server shows of it (application_name). limit: seconds
    that a statement may take.
    """

    def __init__(self, dsn: str, name: str, limit: float = LIMIT) -> None:
        self._dsn = dsn
        self._name = name
        self._limit = limit
        self._connection: Connection | None = None
        self._turn = threading.Lock()

    def run(self, work: Callable[[Connection], T], limit: float | None = None) -> T:
        """Call a function in a transaction of its own, and commit it.

        limit: seconds that each of its statements may take, where they are fewer. Raises
        DatabaseLost where the server can't be reached or does not answer; whether a commit that was
        not answered has happened nobody knows. StateError where the server refuses the work.
        """
        with self._turn:
            return self._run(work, self._limit if limit is None else min(limit, self._limit))

    def close(self) -> None:
        """Close the connection; the next call makes another."""
        with self._turn:
            self._close()

    def _run(self, work: Callable[[Connection], T], limit: float) -> T:
        try:
            connection = self._connection
            if connection is None or connection.closed:
                connection = self._connection = self._connect()
            connection.limit = limit
            with connection.transaction():
                return work(connection)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._close()
            raise DatabaseLost(SUBJECT, f"it can't be reached ({words(error)})") from None
        except psycopg.Error as error:
            self._close()
            raise StateError(SUBJECT, f"it refuses a statement ({words(error)})") from error

    def _connect(self) -> Connection:
        try:
            conninfo_to_dict(self._dsn)
        except psycopg.ProgrammingError:
            # Its message repeats the dsn, with the password.
            raise StateError(SUBJECT, NO_DSN, NO_DSN_REMEDY) from None
        connection = Connection.connect(self._dsn, autocommit=True, **arguments(self._name))
        try:
            for name, value in _SESSION.items():
                text = value.format(limit=f"{self._limit * 1000:.0f}")
                connection.execute("SELECT set_config(%s, %s, false)", (name, text))
        except BaseException:
            with suppress(psycopg.Error):
                connection.close()
            raise
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


NO_DSN = "the dsn of [cluster] is no connection string of PostgreSQL"
NO_DSN_REMEDY = "Write it like postgresql://USER:PASSWORD@HOST/DATABASE"
#: How errors call it.
SUBJECT = "the cluster's database"


def arguments(name: str) -> dict[str, Any]:
    """What every connection is made with. name: what the server shows of it."""
    return {
        "application_name": name[:63],
        "connect_timeout": CONNECT_LIMIT,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10000,
    }


def words(error: BaseException) -> str:
    """What an error of the driver says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
