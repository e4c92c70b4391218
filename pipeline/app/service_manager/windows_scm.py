"""Windows SCM: connects this process to the Service Control Manager, by pywin32.

The SCM calls the service in threads of its own. The main thread is left to the program, for signals
and the event loop need it; so the dispatcher, which returns when the service has ended, gets a
thread as well.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

if sys.platform != "win32":
    raise ImportError("the Service Control Manager is Windows's")

import servicemanager
import win32service

from pipeline.app.service_manager.windows_host import Severity, State

#: Seconds within which the SCM calls a service that it has started.
TIMEOUT = 60.0

ACCEPTED = win32service.SERVICE_ACCEPT_STOP | win32service.SERVICE_ACCEPT_PRESHUTDOWN
CONTROLS = {
    win32service.SERVICE_CONTROL_STOP: "it was asked to",
    win32service.SERVICE_CONTROL_PRESHUTDOWN: "Windows shuts down",
    win32service.SERVICE_CONTROL_SHUTDOWN: "Windows shuts down",
}


class Pywin32Scm:
    """The SCM of this process. name: of the service, as the SCM says."""

    def __init__(self) -> None:
        self.name: str = ""
        #: Takes the reason why the service has to stop.
        self.on_control: Callable[[str], None] = lambda _: None
        self._handle: Any = None
        self._called = threading.Event()

    def connect(self) -> None:
        """Wait until the SCM has called the service. Raises OSError if no SCM has started this."""
        scm, failed = self, list[BaseException]()

        class Service:
            """What the SCM makes and calls."""

            def __init__(self, arguments: tuple[str, ...]) -> None:
                scm.name = arguments[0]
                register = servicemanager.RegisterServiceCtrlHandler
                scm._handle = register(scm.name, scm._control, True)
                servicemanager.SetEventSourceName(scm.name)

            def SvcRun(self) -> None:  # noqa: N802 - as the SCM calls it
                scm._called.set()
                # When this returns, pywin32 tells of a stop without an error. The main thread tells
                # how it ends, and ends the process.
                threading.Event().wait()

        def dispatch() -> None:
            try:
                servicemanager.Initialize()
                servicemanager.PrepareToHostSingle(Service)
                servicemanager.StartServiceCtrlDispatcher()
            except BaseException as error:  # noqa: BLE001 - raised by the main thread
                failed.append(error)
            self._called.set()

        threading.Thread(target=dispatch, name="service control dispatcher", daemon=True).start()
        if not self._called.wait(TIMEOUT) or failed or self._handle is None:
            raise OSError("Windows has not started this as a service") from next(iter(failed), None)

    def report(
        self, state: State, *, checkpoint: int, hint: float, win32_code: int, service_code: int
    ) -> None:
        """Tell the SCM the state of the service."""
        accepted = ACCEPTED if state in (State.START_PENDING, State.RUNNING) else 0
        status = (
            win32service.SERVICE_WIN32_OWN_PROCESS,
            state.value,
            accepted,
            win32_code,
            service_code,
            checkpoint,
            int(hint * 1000),
        )
        win32service.SetServiceStatus(self._handle, status)

    def log(self, severity: Severity, sentence: str) -> None:
        """Write an entry into the event log; a log that is full is left alone."""
        write = {
            "info": servicemanager.LogInfoMsg,
            "warning": servicemanager.LogWarningMsg,
            "error": servicemanager.LogErrorMsg,
        }[severity]
        with suppress(Exception):  # pywintypes.error; there is nowhere to say it
            write(sentence)

    def _control(self, control: int, _event: int, _data: object) -> None:
        if (why := CONTROLS.get(control)) is not None:
            self.on_control(why)
