"""A PostgreSQL server of the benchmark's own, in a folder of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.failure import BenchmarkError

#: The account under which it runs where the benchmark runs as root: it refuses to run as root.
ACCOUNT = "postgres"
SETTINGS = ("listen_addresses=", "max_connections=200", "shared_buffers=128MB")
PATIENCE = 60.0


class PostgresServer:
    """A running server, which is asked by a socket in its folder. pid: of its first process."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.pid = pid
        self._folder = folder

    def dsn(self, database: str = ACCOUNT) -> str:
        """The connection string of a database."""
        return f"host={self._folder} user=synqup dbname={database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The connection string of a fresh database; it is dropped when the block ends."""
        name = f"benchmark_{secrets.token_hex(6)}"
        ask(self.dsn(), f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            yield self.dsn(name)
        finally:
            ask(self.dsn(), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def ask(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    """Execute one statement, and return its rows."""
    import psycopg  # noqa: PLC0415 - an extra

    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A server for as long as the block runs, by Debian's programs. BenchmarkError without them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise BenchmarkError("there is no PostgreSQL here (apt package postgresql)")
    programs = found[-1].parent
    # The path of a socket has 107 bytes at most, and another account has to reach it.
    folder = Path(tempfile.mkdtemp(prefix="synqup-pg-", dir="/tmp"))
    account: dict[str, Any] = {}
    if os.getuid() == 0:
        account = {"user": ACCOUNT, "group": ACCOUNT}
        shutil.chown(folder, ACCOUNT, ACCOUNT)
    data = folder / "data"
    settings = [part for one in SETTINGS for part in ("-c", one)]
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "synqup", "-A", "trust", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd="/",
            **account,
        )
        with subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **account,
        ) as server:
            try:
                _wait(programs, folder, server)
                yield PostgresServer(folder, server.pid)
            finally:
                server.terminate()
                server.wait(PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(programs: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while subprocess.run([programs / "pg_isready", "-q", "-h", folder], check=False).returncode:
        if server.poll() is not None or time.monotonic() > until:
            raise BenchmarkError("PostgreSQL does not start")
        time.sleep(0.05)
