"""SQLite store: the transactions of the ledger's writer, in its file."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from pipeline.ledger.database import mark_suspect
from pipeline.ledger.sqlite_connection import SQLITE, SqliteConnection
from pipeline.ledger.sqlite_errors import explain, is_damage, is_recoverable


class SqliteStore:
    """See Store. connection: as open_database() makes it."""

    dialect = SQLITE

    def __init__(self, connection: SqliteConnection) -> None:
        self.connection = connection

    def begin(self, *, durable: bool, reading: bool) -> SqliteConnection:  # noqa: ARG002 - as Store
        """See Store."""
        connection = self.connection
        if connection.in_transaction:
            # The rollback of the transaction before failed as well.
            connection.execute("ROLLBACK")
        # FULL flushes this commit and all before it, also those that were made with NORMAL.
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def commit(self) -> None:
        """See Store."""
        self.connection.execute("COMMIT")

    def rollback(self, error: BaseException) -> None:
        """See Store."""
        with suppress(sqlite3.Error):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        if is_damage(error):
            mark_suspect(self.connection)

    def is_recoverable(self, error: BaseException | None) -> bool:
        """See Store."""
        return is_recoverable(error)

    def is_damage(self, error: BaseException | None) -> bool:
        """See Store."""
        return is_damage(error)

    def explain(self, error: BaseException | None) -> tuple[str, str]:
        """See Store."""
        return explain(error)

    def close(self) -> None:
        """See Store."""
        self.connection.close()
