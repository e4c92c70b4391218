"""Windows host: a running service as the Service Control Manager (SCM) sees it.

It needs no Windows itself: what talks to the SCM is passed to it (windows_scm.py). States and exit
codes are told as SetServiceStatus of the Windows API wants them: progress of a start or a stop by
checkpoints, each with the time within which the next one comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from typing import Literal, Protocol

Severity = Literal["info", "warning", "error"]

#: In place of an exit code: the service has one of its own (ERROR_SERVICE_SPECIFIC_ERROR).
SERVICE_SPECIFIC_ERROR = 1066
#: Seconds that the SCM is asked to wait before it hears anything, and beyond what is expected.
FIRST_HINT, MARGIN = 60.0, 5.0


class State(Enum):
    """The state of a service; its value is that of the Windows API."""

    STOPPED = 1
    START_PENDING = 2
    STOP_PENDING = 3
    RUNNING = 4


class Scm(Protocol):
    """The Service Control Manager, and the event log."""

    def report(
        self, state: State, *, checkpoint: int, hint: float, win32_code: int, service_code: int
    ) -> None:
        """Tell the state; hint: seconds. The codes: of a service that has stopped, else 0."""

    def log(self, severity: Severity, sentence: str) -> None:
        """Write an entry into the event log."""


class WindowsHost:
    """The link of one service to the SCM (see Link). Its methods may be called by any thread.

    request_stop: begins the drain; called once. misconfigured: the exit code of a configuration
    that someone has to correct: the SCM is told of no failure, so that it does not start it again.
    """

    alive_every: float | None = None

    def __init__(
        self, name: str, scm: Scm, request_stop: Callable[[], object], misconfigured: int
    ) -> None:
        self._name = name
        self._scm = scm
        self._request_stop = request_stop
        self._misconfigured = misconfigured
        self._state = State.START_PENDING
        self._checkpoint = 0
        self._lock = threading.Lock()
        self._report(State.START_PENDING, FIRST_HINT)

    def control(self, why: str) -> None:
        """The SCM wants it to stop; it answers at once, and drains."""
        with self._lock:
            if self._state in (State.STOP_PENDING, State.STOPPED):
                return
            self._report_locked(State.STOP_PENDING, FIRST_HINT)
        self._scm.log("info", f"Service {self._name} is stopping: {why}.")
        self._request_stop()

    def starting(self, seconds: float) -> None:
        """Another checkpoint of the start."""
        with self._lock:
            if self._state is State.START_PENDING:
                self._report_locked(State.START_PENDING, seconds)

    def ready(self) -> None:
        """It runs; that an edit of the configuration is in force the SCM needs not know."""
        with self._lock:
            if self._state is not State.START_PENDING:
                return
            self._report_locked(State.RUNNING, 0)
        self._scm.log("info", f"Service {self._name} has started.")

    def reloading(self) -> None:
        """Of no concern to the SCM."""

    def stopping(self, seconds: float) -> None:
        """Another checkpoint of the stop."""
        with self._lock:
            if self._state is not State.STOPPED:
                self._report_locked(State.STOP_PENDING, seconds)

    def alive(self) -> None:
        """The SCM has no watchdog."""

    def status(self, words: str) -> None:
        """The SCM takes no words."""

    def stopped(self, code: int, reason: str = "") -> None:
        """It has ended with this exit code. To be called last: nothing is told after it."""
        if code == 0:
            self._scm.log("info", f"Service {self._name} has stopped.")
        elif code == self._misconfigured:
            remedy = "It is not started again before that is corrected."
            self._scm.log("error", f"Service {self._name} can't run: {reason} {remedy}")
        else:
            ended = f"Service {self._name} has ended with exit status {code}"
            self._scm.log("error", f"{ended}: {reason}" if reason else f"{ended}.")
        failed = code not in (0, self._misconfigured)
        win32 = SERVICE_SPECIFIC_ERROR if failed else 0
        with self._lock:
            self._report_locked(State.STOPPED, 0, win32, code if failed else 0)

    def _report(self, state: State, hint: float) -> None:
        with self._lock:
            self._report_locked(state, hint)

    def _report_locked(
        self, state: State, hint: float, win32_code: int = 0, service_code: int = 0
    ) -> None:
        pending = state in (State.START_PENDING, State.STOP_PENDING)
        self._checkpoint = self._checkpoint + 1 if pending and state is self._state else 0
        if pending:
            self._checkpoint = max(self._checkpoint, 1)
        self._state = state
        self._scm.report(
            state,
            checkpoint=self._checkpoint,
            hint=hint + MARGIN if pending else 0,
            win32_code=win32_code,
            service_code=service_code,
        )
