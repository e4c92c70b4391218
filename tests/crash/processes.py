"""Starts synqup processes and knows how they ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .plan import Plan

#: Seconds after which a process that ought to have ended has failed to.
PATIENCE = 100

KILLED = -getattr(signal, "SIGKILL", 9)

# Where there is no fork server its tests are skipped, and yet imported.
_server = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
_server.set_forkserver_preload([f"{__package__}.child"])


class Process:
    """One synqup process. mortal: permissions hold for it, also when root runs the tests.

    prepare: called in the process before synqup begins; it has to be picklable.
    """

    def __init__(
        self,
        *arguments: object,
        output: Path,
        plan: Plan | None = None,
        mortal: bool = False,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self.output = output
        self._process = _server.Process(
            target=_be, args=([str(one) for one in arguments], output, plan, mortal, prepare)
        )
        with _import_path():
            self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def wait(self) -> int:
        """The status; a process that does not end is killed, and told apart by its output."""
        self._process.join(PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            raise AssertionError(f"a process did not end:\n{self.said()}")
        return self._process.exitcode

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def said(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""


@contextmanager
def running(*arguments: object, output: Path, **options: object) -> Iterator[Process]:
    """A process for as long as the block runs."""
    process = Process(*arguments, output=output, **options)  # type: ignore[arg-type]
    try:
        yield process
    finally:
        process.kill()


def _be(*planned: Any) -> None:
    from .child import be  # noqa: PLC0415 - it wraps the system's calls: not in this process

    be(*planned)


@contextmanager
def _import_path() -> Iterator[None]:
    """Let the fork server, which starts with the first process, find what we find."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
