"""Ledger connection: what the statements of the ledger need of a database, SQLite or PostgreSQL.

They are written in what both understand: parameters are `?1`, or `?` for the next one; ON CONFLICT
names its columns, and what it changes the table; texts are compared by their bytes. Where the two
differ, a statement is put together out of a Dialect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from pipeline.errors import StateError


class NoLedger(StateError):
    """There is no ledger yet at that place: none has been started."""

    reason = "there is no ledger yet"
    remedy = "Start this synqup once"


class Cursor(Protocol):
    """The result of a statement; its rows are tuples."""

    @property
    def rowcount(self) -> int:
        """The rows that were changed, by all executions together."""

    def fetchone(self) -> Any:
        """The next row; None if there is no other."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> None:
        """Need it no more."""


class Dialect(Protocol):
    """What has to be said to one database in other words than to the other."""

    #: The operator for which small letters of ASCII match capitals, and `%` anything.
    like: str

    def indexed(self, index: str) -> str:
        """What follows the table's name so that the index is used, and never the whole table."""

    def among(self, column: str) -> str:
        """The condition that a column has one of the values of `listed()`, the only parameter."""

    def listed(self, values: Sequence[int]) -> object:
        """Whole numbers as one parameter."""

    def contains(self, text: str, part: str) -> str:
        """The condition that a text has a part, as it is spelt."""

    def folded(self, text: str) -> str:
        """A text without capitals and accents, as `folding` makes it."""

    def day(self, seconds: str) -> str:
        """The day of a moment as ISO 8601 has it, in UTC; NULL if no calendar has it."""

    def columns(self, table: str) -> str:
        """The statement that lists the names of a table's columns; none if there is no table."""

    def floor(self, number: str) -> str:
        """The largest whole number that is not above a number."""


class Connection(Protocol):
    """A connection to the database of a ledger; used by one thread at a time."""

    @property
    def dialect(self) -> Dialect:
        """The words of this database."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Execute a statement."""

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> Cursor:
        """Execute a statement once for each row of parameters."""


class Store(Protocol):
    """The database of a ledger as its writer needs it: one connection, one transaction at a time.

    begin() and commit() raise what the database does.
    """

    @property
    def dialect(self) -> Dialect:
        """The words of this database."""

    def begin(self, *, durable: bool, reading: bool) -> Connection:
        """Begin a transaction; one that an error has left open is rolled back.

        durable: commit() has to flush it. reading: nothing is changed.
        """

    def commit(self) -> None:
        """Commit the transaction. After an error it may have been committed or not."""

    def rollback(self, error: BaseException) -> None:
        """Roll the transaction back, for an error. Raises nothing."""

    def is_recoverable(self, error: BaseException | None) -> bool:
        """Whether the cause lies outside of the program, so that the same may succeed later."""

    def is_damage(self, error: BaseException | None) -> bool:
        """Whether the database itself is damaged, so that the next start begins a new one."""

    def explain(self, error: BaseException | None) -> tuple[str, str]:
        """The reason and the remedy of a recoverable error, without a final period."""

    def close(self) -> None:
        """Close the connection."""
