"""Ledger place: where a ledger lies, a file of SQLite or a database of PostgreSQL; opens either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from msgspec import Struct

from pipeline.errors import StateError
from pipeline.ledger.connection import Connection, Store
from pipeline.ledger.database import open_database
from pipeline.ledger.sqlite_connection import reading_sqlite
from pipeline.ledger.sqlite_store import SqliteStore


class PostgresPlace(Struct, frozen=True):
    """A database of PostgreSQL. dsn: its connection string, which may hold a password."""

    dsn: str

    def __str__(self) -> str:
        """What people call it: never the connection string."""
        return "the ledger in PostgreSQL"

    def __repr__(self) -> str:
        return "PostgresPlace(…)"


#: The portable folder for Windows has no pip.
_INSTALL = (
    "Install it with: pip install 'synqup[cluster]'; or use the portable folder of Windows that has"
    " it, synqup-windows-cluster.zip"
)
#: The path of a file, or a database.
LedgerPlace = Path | PostgresPlace


def open_store(place: LedgerPlace, node: str = "", *, read_only: bool = False) -> Store:
    """Open the ledger at a place, which is created or migrated, to be written.

    node: which one of a cluster this is. read_only: whether a database is only read; a file is
    copied for that instead. Raises StateError, as open_ledger() says.
    """
    if isinstance(place, Path):
        return SqliteStore(open_database(place))
    store: Store = _postgres().open_postgres(place.dsn, node, read_only=read_only)
    return store


def check_place(place: PostgresPlace) -> str:
    """Try whether a database can hold a ledger; what it is, for people. Raises StateError."""
    found: str = _postgres().check_postgres(place.dsn)
    return found


@contextmanager
def reading(place: LedgerPlace, patience: float | None = None) -> Iterator[Connection]:
    """A connection that only reads, beside all writers, of whom it keeps none waiting.

    patience: seconds for all of it. Raises StateError: it can't be read, or not in time.
    """
    if isinstance(place, Path):
        with reading_sqlite(place, patience) as connection:
            yield connection
    else:
        with _postgres().reading_postgres(place.dsn, patience) as connection:
            yield connection


def described(place: LedgerPlace) -> str:
    """Where a ledger lies, for people, without asking there. Raises StateError."""
    if isinstance(place, Path):
        return str(place)
    name: str = _postgres().named(place.dsn)
    return name


def carrying() -> ModuleType:
    """The module that carries ledgers over into PostgreSQL. Raises StateError."""
    _postgres()
    from pipeline.ledger import carrying  # noqa: PLC0415 - its library is an extra

    return carrying


def _postgres() -> ModuleType:
    """The module for PostgreSQL, which is imported only where there is a cluster."""
    try:
        from pipeline.ledger import postgres_store  # noqa: PLC0415 - its library is an extra
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("psycopg"):
            raise
        raise StateError(
            "[cluster]",
            "what speaks to PostgreSQL is not installed",
            _INSTALL,
        ) from None
    except ImportError as error:
        # psycopg without its compiled part and without libpq says so by an ImportError of its own.
        raise StateError(
            "[cluster]",
            f"what speaks to PostgreSQL can't be used ({error})",
            _INSTALL,
        ) from None
    return postgres_store
