"""A PostgreSQL server of the benchmark's own: that of the tests, with room for many nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.failure import BenchmarkError
from tests.helpers.postgres import OwnServer, missing, running_postgres

__all__ = ["OwnServer", "ask", "postgres"]

#: As a server has them that is to bear something.
SETTINGS = ("max_connections=200", "shared_buffers=128MB", "max_wal_size=1GB")


def ask(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    """Execute one statement, and return its rows."""
    import psycopg  # noqa: PLC0415 - an extra

    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def postgres() -> Iterator[OwnServer]:
    """A server for as long as the block runs. BenchmarkError where there is none."""
    if why := missing():
        raise BenchmarkError(why)
    with running_postgres(*SETTINGS) as server:
        yield server
