"""A real PostgreSQL server of our own on loopback and a Unix socket, in a folder of its own.

A test asks for a fresh database by the fixture `postgres`, which is its connection string; for a
server of its own, which it may kill, by `running_postgres()`. Where tests run as root, the server
runs as the account `postgres`: it refuses to run as root.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60
ACCOUNT = "postgres"
#: The account in the database.
OWNER = "synqup"
#: The environment names by this the port on loopback of a server that is there already.
GIVEN = "SYNQUP_POSTGRES"
#: fsync stays on: what is proved about kills would mean little without it.
CONFIG = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 100
shared_buffers = 32MB
max_wal_size = 256MB
logging_collector = off
log_min_messages = warning
timezone = 'UTC'
"""


def programs() -> Path | None:
    """The folder of the server's programs, of the latest version that is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name.split(".")[0]))
    at = shutil.which("initdb")
    return Path(at).resolve().parent if at else None


def missing() -> str:
    """Why it can't run here; "" if it can."""
    if sys.platform == "win32":
        return "the tests start PostgreSQL on POSIX systems only"
    if programs() is None:
        return "there is no PostgreSQL server (apt package postgresql)"
    if find_spec("psycopg") is None:
        return "psycopg is not installed (the extra 'cluster')"
    if os.getuid() == 0:
        import pwd  # noqa: PLC0415 - Windows has none

        try:
            pwd.getpwnam(ACCOUNT)
        except KeyError:
            return f"the tests run as root, and there is no account {ACCOUNT} for PostgreSQL"
    return ""


class PostgresServer:
    """A server that is reached at a host and a port. The host may be the folder of its socket."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return True

    def dsn(self, database: str = ACCOUNT, *, host: str = "", port: int = 0) -> str:
        """A connection string, which leads elsewhere if another host or port is named."""
        at = f"host={host or self.host} port={port or self.port}"
        return f"{at} user={OWNER} dbname={database}"

    def execute(self, sql: str) -> None:
        """Execute a statement outside of a transaction, whatever the server is set to."""
        import psycopg  # noqa: PLC0415 - an extra

        options = "-c synchronous_commit=local -c default_transaction_read_only=off"
        with psycopg.connect(self.dsn(), autocommit=True, options=options) as connection:
            connection.execute(sql.encode())

    def reload(self) -> None:
        """Have it read its settings again, and wait until it has."""
        import psycopg  # noqa: PLC0415 - an extra

        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            asked = "SELECT pg_conf_load_time()"
            before = connection.execute(asked).fetchone()
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute(asked).fetchone() == before:
                time.sleep(0.01)

    def wait_for(self, sql: str) -> None:
        """Wait until a statement finds something other than 0."""
        import psycopg  # noqa: PLC0415 - an extra

        until = time.monotonic() + PATIENCE
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            while connection.execute(sql.encode()).fetchone() in {None, (0,)}:
                assert time.monotonic() < until, sql
                time.sleep(0.02)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The connection string of a fresh database, which is dropped when the block ends.

        Its order of texts is a language's, as in most installations.
        """
        name = f"test_{secrets.token_hex(6)}"
        self.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        )
        try:
            yield self.dsn(name)
        finally:
            if self.is_running:
                self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class OwnServer(PostgresServer):
    """A server of our own. folder: of its data, its sockets and its log."""

    def __init__(self, folder: Path, primary: OwnServer | None = None) -> None:
        """primary: the server that it follows, as a standby."""
        found = programs()
        assert found is not None
        super().__init__(str(folder), _free_port())
        self._programs = found
        self.folder = folder
        self.data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        #: Nobody but root can run it as another account.
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            self._as = {"user": ACCOUNT, "group": ACCOUNT}
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        if primary is None:
            self.run("initdb", "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        else:
            self.run("pg_basebackup", "-R", "-X", "stream", "-c", "fast", "-N", "-d", primary.dsn())
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(CONFIG.format(port=self.port, folder=folder))

    def run(self, program: str, *arguments: object) -> None:
        """Run one of its programs, for the folder of its data."""
        subprocess.run(
            [self._programs / program, "-D", self.data, *map(str, arguments)],
            check=True, capture_output=True, timeout=PATIENCE, cwd="/", **self._as,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """The process that starts the others (postmaster)."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._process is not None

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers. options: settings, NAME=VALUE each."""
        settings = [part for one in options for part in ("-c", one)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *settings],
                stdout=log, stderr=log, cwd="/", start_new_session=True, **self._as,
            )  # fmt: skip
        until = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(
                    f"PostgreSQL does not start: {(self.folder / 'log').read_text()}"
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it in order ("fast": connections are ended)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """Kill all of its processes at once (SIGKILL), as a crash of its machine's memory would."""
        if self._process is None:
            return
        # So that it starts none that would be missed.
        self._process.send_signal(signal.SIGSTOP)
        # Each backend is the leader of a group of its own: the session alone does not reach them.
        children = _children(self._process.pid)
        for pid in [self._process.pid, *children]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._process = None
        # The next one does not start as long as the memory that they shared is in use.
        until = time.monotonic() + PATIENCE
        while any(_is_running(pid) for pid in children) and time.monotonic() < until:
            time.sleep(0.005)

    @contextmanager
    def standby(self, name: str) -> Iterator[OwnServer]:
        """A server that follows this one, under a name."""
        folder = Path(tempfile.mkdtemp(prefix="synqup-pg-", dir="/tmp"))
        try:
            one = OwnServer(folder, self)
            with (one.data / "postgresql.auto.conf").open("a") as file:
                file.write(f"primary_conninfo = '{self.dsn()} application_name={name}'\n")
            one.start()
            try:
                self.wait_for("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
                yield one
            finally:
                self.execute("ALTER SYSTEM RESET synchronous_standby_names")
                self.reload()
                one.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def log_receiver(self) -> Iterator[None]:
        """A program that keeps the log of this server, and follows it no further."""
        folder = self.folder / "received"
        folder.mkdir(exist_ok=True)
        if self._as:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        with subprocess.Popen(
            [self._programs / "pg_receivewal", "-D", folder, "-d", self.dsn()],
            cwd="/", stderr=subprocess.DEVNULL, **self._as,
        ) as running:  # fmt: skip
            try:
                self.wait_for("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
                yield
            finally:
                running.terminate()

    def _answers(self) -> bool:
        done = subprocess.run(
            [self._programs / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)],
            check=False, timeout=PATIENCE,
        )  # fmt: skip
        return done.returncode == 0


@contextmanager
def running_postgres(*options: str) -> Iterator[OwnServer]:
    """A server for as long as the block runs; skips the test where there is none.

    options: settings, NAME=VALUE each.
    """
    if why := missing():
        pytest.skip(why)
    # The path of a socket has 107 bytes at most, and another account has to reach it.
    folder = Path(tempfile.mkdtemp(prefix="synqup-pg-", dir="/tmp"))
    try:
        one = OwnServer(folder)
        one.start(*options)
        try:
            yield one
        finally:
            one.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def any_postgres() -> Iterator[PostgresServer]:
    """A server that nobody may stop: the one that is there already, or one of our own."""
    if port := os.environ.get(GIVEN):
        yield PostgresServer("127.0.0.1", int(port))
    else:
        with running_postgres() as server:
            yield server


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(path.parent.name))
    return found


def _is_running(pid: int) -> bool:
    """Whether there is a process that has not ended yet; one that nobody has waited for has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
