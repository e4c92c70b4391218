"""PostgreSQL store: the transactions of the ledger's writer in a database that several nodes share.

Each transaction that changes anything takes one lock first, which the server keeps until it ends.
So changes are as serial there as they are in a file of SQLite; none waits for another in a circle;
and when a change is applied again because the answer to its commit was lost, the transaction that
was under way has ended, and shows what it did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from pipeline.errors import StateError
from pipeline.ledger import postgres_connection
from pipeline.ledger.connection import NoLedger
from pipeline.ledger.postgres_connection import (
    POSTGRES,
    PostgresConnection,
    connect,
    limit_statements,
    named,
)
from pipeline.ledger.postgres_errors import ConnectionLost, Unsuitable, explain, is_recoverable
from pipeline.ledger.postgres_schema import SUBJECT, known_version, prepare
from pipeline.ledger.postgres_settings import check_settings
from pipeline.ledger.schema import VERSION

__all__ = ["PostgresStore", "check_postgres", "named", "open_postgres", "reading_postgres"]

#: The key of the lock of all changes ("ledger").
CHANGES_LOCK = 0x6C6564676572
#: Seconds that a reader without a patience of its own may take.
READ_TIMEOUT = 60.0


class PostgresStore:
    """See Store. It connects again where the connection was lost."""

    dialect = POSTGRES

    def __init__(self, dsn: str, node: str, *, read_only: bool = False) -> None:
        self._dsn = dsn
        self._read_only = read_only
        self._name = f"synqup {node}".strip()
        self.connection: PostgresConnection | None = None

    def open(self) -> None:
        """Connect, and make or migrate the tables, unless they are only read. Raises StateError."""
        try:
            connection = self._connected()
            if not self._read_only:
                prepare(connection)
        except (psycopg.Error, Unsuitable) as error:
            reason, remedy = _words(error)
            raise StateError(
                SUBJECT, f"it can't be opened: {reason}", f"{remedy}; then start again"
            ) from None

    def begin(self, *, durable: bool, reading: bool) -> PostgresConnection:  # noqa: ARG002 - as Store
        """See Store. Whatever is committed is flushed; what only reads has no transaction."""
        connection = self._connected()
        if not reading:
            try:
                connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({CHANGES_LOCK})")
            except psycopg.errors.LockNotAvailable:
                connection.execute("ROLLBACK")
                end_idle_holders(connection)
                raise
        return connection

    def commit(self) -> None:
        """See Store."""
        connection = self.connection
        if connection is None:
            raise ConnectionLost("the connection has ended")
        if not connection.is_in_transaction:
            return
        said = connection.execute("COMMIT").statusmessage
        if said != "COMMIT":
            # A statement has failed, and whoever executed it has not said so.
            raise psycopg.InternalError(f"the commit ended with {said}")

    def rollback(self, error: BaseException) -> None:  # noqa: ARG002 - as Store
        """See Store."""
        connection = self.connection
        if connection is None:
            return
        try:
            if connection.is_usable:
                if connection.is_in_transaction:
                    connection.execute("ROLLBACK")
                return
        except psycopg.Error:
            pass
        self.close()

    def is_recoverable(self, error: BaseException | None) -> bool:
        """See Store."""
        return is_recoverable(error)

    def is_damage(self, error: BaseException | None) -> bool:  # noqa: ARG002 - as Store
        """See Store: never is another one begun in its place."""
        return False

    def explain(self, error: BaseException | None) -> tuple[str, str]:
        """See Store."""
        return explain(error)

    def close(self) -> None:
        """See Store."""
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _connected(self) -> PostgresConnection:
        """A connection to a server that can hold a ledger, without an open transaction."""
        if self.connection is not None and self.connection.is_usable:
            if self.connection.is_in_transaction:
                # The rollback of the transaction before failed as well.
                self.connection.execute("ROLLBACK")
            return self.connection
        self.close()
        connection = connect(self._dsn, self._name)
        try:
            if self._read_only:
                only_read(connection)
            else:
                check_settings(connection, self._dsn)
                _refuse_newer(connection)
        except BaseException:
            connection.close()
            raise
        self.connection = connection
        return connection


def end_idle_holders(connection: PostgresConnection) -> None:
    """End each session that holds the lock of all changes, and does nothing for IDLE_TIMEOUT.

    The server does that by itself, but not where the last that it got was a request to flush, with
    which psycopg ends the statements of an executemany() (seen with PostgreSQL 15 and psycopg 3.3).
    """
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND (CAST(classid AS bigint) << 32) + CAST(objid AS bigint) = CAST(?1 AS bigint)"
        " AND state LIKE 'idle in transaction%'"
        " AND state_change < now() - ?2 * interval '1 second'",
        (CHANGES_LOCK, postgres_connection.IDLE_TIMEOUT),
    )


def open_postgres(dsn: str, node: str, *, read_only: bool = False) -> PostgresStore:
    """Open the ledger in a database, which is created or migrated. Raises StateError.

    read_only: whether nothing is to be changed; raises NoLedger if there is none.
    """
    store = PostgresStore(dsn, node, read_only=read_only)
    try:
        store.open()
    except BaseException:
        store.close()
        raise
    return store


@contextmanager
def reading_postgres(dsn: str, patience: float | None = None) -> Iterator[PostgresConnection]:
    """A connection that only reads. patience: seconds for all of it. Raises StateError."""
    try:
        connection = connect(dsn, "synqup reader")
        try:
            limit_statements(connection, READ_TIMEOUT if patience is None else patience)
            only_read(connection)
            yield connection
        finally:
            connection.close()
    except psycopg.errors.QueryCanceled:
        raise StateError(
            SUBJECT, "the search took too long", "Search for less, or at a quieter time"
        ) from None
    except (psycopg.Error, Unsuitable) as error:
        reason, remedy = _words(error)
        raise StateError(SUBJECT, f"it can't be read: {reason}", remedy) from None


def only_read(connection: PostgresConnection) -> None:
    """Let a connection change nothing. Raises StateError where no ledger of this version is."""
    connection.execute("SET default_transaction_read_only = on")
    version = known_version(connection)
    if not version:
        raise NoLedger(SUBJECT)
    if version != VERSION:
        raise StateError(SUBJECT, "an earlier synqup has written it", NoLedger.remedy)


def check_postgres(dsn: str) -> str:
    """Try whether a database can hold a ledger, and change nothing; what it is. Raises StateError.

    It is asked as the ledger would ask; the tables may be missing.
    """
    store = PostgresStore(dsn, "")
    try:
        connection = store.begin(durable=False, reading=True)
        row = connection.execute("SELECT current_database(), current_setting('server_version')")
        name, version = row.fetchone() or ("", "")
    except (psycopg.Error, Unsuitable) as error:
        raise StateError(SUBJECT, *_words(error)) from None
    finally:
        store.close()
    return f"database {name} of PostgreSQL {version}"


def _refuse_newer(connection: PostgresConnection) -> None:
    """Raise Unsuitable where a newer program has migrated the ledger since it was opened."""
    try:
        known_version(connection)
    except StateError as error:
        raise Unsuitable(error.reason, error.remedy) from None


def _words(error: psycopg.Error | Unsuitable) -> tuple[str, str]:
    if is_recoverable(error):
        return explain(error)
    return " ".join(str(error).split()), "If it goes on, send this line to support"
