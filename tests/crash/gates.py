"""Gates: a node as a process that waits before each of its steps until somebody lets it go on.

A step is a call that touches the folder, or a statement to the ledger. Whoever lets it go on says
how: as it is; the folder refuses; the connection to PostgreSQL is lost before the server has made
the commit, or after it.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from pipeline.engine.error_reporter import leaf_exceptions
from pipeline.errors import StateError
from pipeline.ledger import writer
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.postgres_errors import ConnectionLost
from pipeline.ledger.postgres_store import PostgresStore
from stages import write
from stages.delivery import forward, publish_group, recovery_shared, staging_shared, temporary_files
from stages.delivery.forward import ASIDE
from stages.delivery.staging import NAME

from . import nodes
from .nodes import Mailroom, deliver, forked

#: Ways to let a node go on.
GO, REFUSE, NOT_MADE, MADE = b"g", b"r", b"n", b"m"
#: How a process ends whose ledger gave no answer.
GAVE_UP = 3
#: Seconds until a node has to have come to its next step.
PATIENCE = 60.0

#: The calls that touch the folder: where the function is, its name, and that of the step.
CALLS: tuple[tuple[Any, str, str], ...] = (
    (temporary_files, "write_file", "write"),
    (temporary_files.TemporaryFiles, "flush", "flush written"),
    (forward, "rename_in_one_step", "rename"),
    (forward, "_is_there", "look whether it is there"),
    (publish_group, "flush_names", "flush names"),
    (recovery_shared, "flush_folder", "flush folder"),
    (recovery_shared, "remove_all", "remove"),
    (write, "remove_all", "remove"),
    (staging_shared, "_remove", "sweep"),
    (nodes, "tell", "tell"),
)
#: What of it may be refused, and how often where the folder refuses its name.
MAY_FAIL = {
    "rename": 1.0, "rename aside": 0.2, "write": 0.1, "flush names": 0.2, "flush folder": 0.2,
}  # fmt: skip
#: The changes of the ledger that have a name of their own.
CHANGES = (
    "stage", "reallocate", "delivered", "unstaged", "acknowledged", "seen", "waiting", "duplicates",
)  # fmt: skip


class Gated(NamedTuple):
    """A node of which each step is somebody's to allow. pid: of its process."""

    name: str
    pid: int
    line: socket.socket

    def step(self) -> str:
        """The step before which it waits now; "" if it has ended."""
        said = bytearray()
        while not said.endswith(b"\n"):
            if not (part := self.line.recv(100)):
                return ""
            said += part
        return said.decode().strip()

    def let(self, how: bytes) -> None:
        """Let it go on."""
        self.line.sendall(how)

    def kill(self) -> None:
        """Kill it where it is."""
        os.kill(self.pid, signal.SIGKILL)

    def ended(self) -> str:
        """Wait for its end; why that is none that a node may have, else ""."""
        self.line.close()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return ""
        code = os.waitstatus_to_exitcode(status)
        return "" if code in (0, GAVE_UP) else f"{self.name} has ended with {code}"


def gated(
    room: Mailroom, name: str, said: Path, prepare: Sequence[Callable[[], object]], patience: float
) -> Gated:
    """Start a node. said: the file of what it says; patience: of its ledger."""
    here, there = socket.socketpair()

    def work() -> None:
        here.close()
        _say_into(said)
        for one in prepare:
            one()
        writer.RETRY_DELAY = 0.001
        _Gate(there).watch()
        try:
            anyio.run(deliver, room, name, patience)
        except (StateError, ExceptionGroup) as error:
            if all(isinstance(one, StateError) for one in leaf_exceptions(error)):
                os._exit(GAVE_UP)
            raise

    pid = forked(work)
    there.close()
    here.settimeout(PATIENCE)
    return Gated(name, pid, here)


class _Gate:
    """The side of the node."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._change = ""

    def watch(self) -> None:
        """Let all steps of this process wait."""
        for owner, function, step in CALLS:
            setattr(owner, function, self._call(getattr(owner, function), step))
        for name in CHANGES:
            setattr(Ledger, name, self._named(getattr(Ledger, name), name))
        Ledger.change = self._named(Ledger.change, "")  # type: ignore[method-assign]
        PostgresStore.begin = self._begin(PostgresStore.begin)  # type: ignore[method-assign]
        PostgresStore.commit = self._commit(PostgresStore.commit)  # type: ignore[method-assign]

    def _wait(self, step: str) -> bytes:
        with self._lock:
            self._line.sendall(f"{step}\n".encode())
            how = self._line.recv(1)
        if not how:
            os._exit(0)
        return how

    def _call(self, function: Any, step: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            what = f"{step} aside" if step == "rename" and _is_aside(arguments[1]) else step
            if self._wait(what) == REFUSE:
                error = OSError(errno.EIO, "refused")
                if step == "flush names":
                    return dict.fromkeys(arguments[0], error)
                raise error
            return function(*arguments, **named)

        return call

    def _named(self, method: Any, name: str) -> Any:
        async def change(ledger: Ledger, what: Any, *more: Any, **named: Any) -> Any:
            self._change = name or _name_of(what)
            return await method(ledger, what, *more, **named)

        return change

    def _begin(self, begin: Any) -> Any:
        def waiting(store: PostgresStore, *, durable: bool, reading: bool) -> Any:
            self._wait("read" if reading else f"begin {self._change}")
            return begin(store, durable=durable, reading=reading)

        return waiting

    def _commit(self, commit: Any) -> Any:
        def waiting(store: PostgresStore) -> None:
            connection = store.connection
            if connection is None or not connection.is_in_transaction:
                return commit(store)
            how = self._wait(f"commit {self._change}")
            if how in (MADE, NOT_MADE):
                if how == MADE:
                    commit(store)
                store.close()
                raise ConnectionLost("cut")
            return commit(store)

        return waiting


def _name_of(change: Any) -> str:
    """The name of a function that changes the ledger."""
    function = change.func if isinstance(change, partial) else change
    return "claim" if "_taken_up" in function.__qualname__ else str(function.__name__)


def _is_aside(target: Any) -> bool:
    return str(target).endswith(ASIDE) or NAME in Path(target).parts


def _say_into(path: Path) -> None:
    sys.stdout = sys.stderr = path.open("a", buffering=1)
