"""SQLite connection: the words of SQLite for the statements of the ledger, and a reader's look."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from pipeline.errors import StateError
from pipeline.ledger.folding import folded
from pipeline.ledger.sqlite_errors import explain, is_damage, is_recoverable

#: Seconds that SQLite waits for another program that holds a lock.
BUSY_TIMEOUT = 5.0
#: Steps of SQLite's machine between two looks at the clock.
STEPS = 50_000


class SqliteDialect:
    """SQLite's words; see Dialect."""

    like = "LIKE"

    def indexed(self, index: str) -> str:
        """Without it, SQLite might decide to read the whole table."""
        return f" INDEXED BY {index}"

    def among(self, column: str) -> str:
        """See Dialect."""
        return f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - a column of a table

    def listed(self, values: Sequence[int]) -> str:
        """See Dialect."""
        return msgspec.json.encode(values).decode()

    def contains(self, text: str, part: str) -> str:
        """See Dialect."""
        return f"instr({text}, {part}) > 0"

    def folded(self, text: str) -> str:
        """See Dialect; a function of reading()."""
        return f"folded({text})"

    def day(self, seconds: str) -> str:
        """See Dialect."""
        return f"date({seconds}, 'unixepoch')"

    def columns(self, table: str) -> str:
        """See Dialect."""
        return f"SELECT name FROM pragma_table_info('{table}')"  # noqa: S608 - one of our own

    def floor(self, number: str) -> str:
        """See Dialect."""
        return f"(CAST({number} AS INTEGER) - ({number} < CAST({number} AS INTEGER)))"


SQLITE = SqliteDialect()


class SqliteConnection(sqlite3.Connection):
    """A connection of the standard library, which knows its dialect."""

    dialect = SQLITE


def unreadable(error: OSError | sqlite3.Error) -> tuple[str, str]:
    """The reason and the remedy of a ledger that can't be read."""
    reason, remedy = str(error), "Ask with the version of synqup that writes it"
    if is_damage(error):
        reason = f"it is damaged ({error})"
        remedy = "The next start keeps it aside, and begins a new one"
    elif isinstance(error, OSError) or is_recoverable(error):
        reason, remedy = explain(error)
        # A reader beside the writer needs the shared -shm file, and may have to create it.
        remedy = f"{remedy}, or ask as the account that runs synqup; then ask again"
    return f"the ledger can't be read: {reason}", remedy


@contextmanager
def reading_sqlite(path: Path, patience: float | None = None) -> Iterator[SqliteConnection]:
    """A connection that only reads, beside a writer, whom it never keeps waiting.

    patience: seconds for all of it. Raises StateError: the file can't be read, or not in time.
    """
    until = None if patience is None else time.monotonic() + patience
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, BUSY_TIMEOUT, uri=True, factory=SqliteConnection)
        with closing(connection):
            connection.create_function("folded", 1, folded, deterministic=True)
            if until is not None:
                connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
            yield connection
    except sqlite3.Error as error:
        if until is not None and time.monotonic() > until:
            reason, remedy = "the search took too long", "Search for less, or at a quieter time"
        else:
            reason, remedy = unreadable(error)
        raise StateError(str(path), reason, remedy) from None
