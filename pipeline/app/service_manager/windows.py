"""Windows: installs, removes, starts and stops services of the Service Control Manager (SCM)."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    raise ImportError("the Service Control Manager is Windows's")

import pywintypes
import servicemanager
import win32evtlogutil
import win32service

from pipeline.app.service_manager.checked import check
from pipeline.app.service_manager.definition import ServiceDefinition, ServiceError
from pipeline.app.service_manager.status import Password, Say, ServiceStatus
from pipeline.app.service_manager.windows_api import (
    NOT_ACTIVE,
    RUNS_ALREADY,
    account_of,
    delete,
    exists,
    in_words,
    is_ours,
    open_manager,
    open_service,
    opened_service,
    suppress_code,
)
from pipeline.app.service_manager.windows_plan import (
    DESCRIPTION,
    WindowsPlan,
    failure_actions,
    make_plan,
    needs_logon_right,
    needs_password,
    plan_text,
    virtual_account,
)
from pipeline.app.service_manager.windows_rights import (
    allow_logon,
    grant_rights,
    revoke,
    write_registry,
)
from pipeline.durable import make_folder

#: Seconds that a start may take, and a stop, until no more is waited for.
START_TIMEOUT, STOP_TIMEOUT = 300.0, 600.0
#: Seconds between two looks at a service that is starting or stopping.
LOOK = 0.5

_WORDS = {
    win32service.SERVICE_STOPPED: "is stopped",
    win32service.SERVICE_START_PENDING: "is starting",
    win32service.SERVICE_STOP_PENDING: "is stopping",
    win32service.SERVICE_RUNNING: "runs",
}


class WindowsServices:
    """The services of this machine, for administrators."""

    def default_account(self, name: str) -> str:
        """The virtual account of the service."""
        return virtual_account(name)

    def describe(self, definition: ServiceDefinition) -> str:
        """The plan."""
        return plan_text(_plan(definition))

    def install(
        self, definition: ServiceDefinition, say: Say, password: Password, *, start: bool
    ) -> None:
        """Make folders, service, rights and event source; have it started after each boot."""
        plan = _plan(definition)
        name = plan.name
        with open_manager(name, win32service.SC_MANAGER_ALL_ACCESS) as manager, ExitStack() as undo:
            known = is_ours(manager, name)
            made = [path for path in definition.writable if _make_folder(path, undo)]
            for path in made:
                say(f"made the folder {path}")
            check(definition)
            secret = _asked(plan, password)
            with in_words(name, "install"):
                if known:
                    service = win32service.OpenService(
                        manager, name, win32service.SERVICE_ALL_ACCESS
                    )
                    changed = _change(service, plan, secret)
                else:
                    service = _create(manager, plan, secret)
                    changed = False
                undo.callback(win32service.CloseServiceHandle, service)
                if not known:
                    undo.callback(delete, service)
                _configure(service, plan)
                write_registry(plan)
                source = servicemanager.__file__
                win32evtlogutil.AddSourceToRegistry(name, source, "Application")
                if needs_logon_right(plan):
                    allow_logon(plan.account)
                    say(f"allowed {plan.account} to log on as a service")
            say(f"{'brought' if known else 'installed'} {name}{' up to date' if known else ''}")
            grant_rights(plan, made, say)
            undo.pop_all()
            win32service.CloseServiceHandle(service)
        say("it is started after each boot")
        if not start:
            return
        if changed and self.status(name).running:
            self.stop(name, say)
        self.start(name, say)

    def uninstall(self, name: str, say: Say) -> None:
        """Stop and delete it, and take back the rights of its account."""
        with open_manager(name, win32service.SC_MANAGER_ALL_ACCESS) as manager:
            if not is_ours(manager, name):
                say(f"there is no service {name}")
                return
            self.stop(name, say)
            account = account_of(manager, name)
            revoke(name, account)
            with in_words(name, "uninstall"), open_service(manager, name) as service:
                win32service.DeleteService(service)
            with suppress(pywintypes.error):
                win32evtlogutil.RemoveSourceFromRegistry(name, "Application")
        say(f"removed {name}, and the rights of {account}")
        say("its documents, its state folder and its configuration are left")

    def start(self, name: str, say: Say) -> None:
        """Start it, and wait until it runs."""
        with opened_service(name, "start") as service:
            with suppress_code(RUNS_ALREADY):
                win32service.StartService(service, None)
            self._await(name, service, win32service.SERVICE_RUNNING, START_TIMEOUT)
        found = self.status(name)
        if not found.running:
            raise ServiceError(
                f"service {name}",
                f"it has not started: {found.sentence}",
                "The event log (Application) says why",
            )
        say(found.sentence)

    def stop(self, name: str, say: Say) -> None:
        """Stop it, and wait until it has drained."""
        with opened_service(name, "stop") as service:
            with suppress_code(NOT_ACTIVE):
                win32service.ControlService(service, win32service.SERVICE_CONTROL_STOP)
            self._await(name, service, win32service.SERVICE_STOPPED, STOP_TIMEOUT)
        say(f"{name} is stopped")

    def status(self, name: str) -> ServiceStatus:
        """What the SCM says of it."""
        with open_manager(name, win32service.SC_MANAGER_CONNECT) as manager:
            if not exists(manager, name):
                return ServiceStatus(False, False, f"{name} is not installed")
            with (
                in_words(name, "ask for"),
                open_service(manager, name, win32service.SERVICE_QUERY_STATUS) as service,
            ):
                shown = win32service.QueryServiceStatusEx(service)
        state = shown["CurrentState"]
        words = f"{name} {_WORDS.get(state, 'is in between')}"
        code = shown["ServiceSpecificExitCode"] or shown["Win32ExitCode"]
        # Of one that has never been started since the boot: ERROR_SERVICE_NEVER_STARTED.
        if state == win32service.SERVICE_STOPPED and code not in (0, 1077):
            words += f": it ended with exit status {code}; the event log says why"
        return ServiceStatus(True, state == win32service.SERVICE_RUNNING, words)

    def _await(self, name: str, service: Any, wanted: int, timeout: float) -> None:
        """Wait until the service is in a state, or in another one that it does not leave."""
        settled = (win32service.SERVICE_RUNNING, win32service.SERVICE_STOPPED)
        until = time.monotonic() + timeout
        while (now := win32service.QueryServiceStatus(service)[1]) != wanted:
            if now in settled and wanted == win32service.SERVICE_RUNNING:
                return
            if time.monotonic() > until:
                raise ServiceError(
                    f"service {name}", f"after {timeout:,.0f} s it still {_WORDS.get(now, 'waits')}"
                )
            time.sleep(LOOK)


def _plan(definition: ServiceDefinition) -> WindowsPlan:
    base = getattr(sys, "_base_executable", sys.executable)
    profile = os.environ.get("PUBLIC", r"C:\Users\Public")
    return make_plan(definition, sys.executable, base, Path(profile).parent)


def _make_folder(folder: Path, undo: ExitStack) -> bool:
    """Make a folder if it is missing; whether it was."""
    if folder.exists():
        return False
    try:
        make_folder(folder, 0o750)
    except OSError as error:
        raise ServiceError(str(folder), f"the folder can't be made ({error.strerror})") from None

    def remove() -> None:
        with suppress(OSError):
            folder.rmdir()

    undo.callback(remove)
    return True


def _asked(plan: WindowsPlan, password: Password) -> str | None:
    """The password of the account, if it needs one."""
    if not needs_password(plan):
        return None
    if not (secret := password()):
        raise ServiceError(
            f"account {plan.account}",
            "Windows needs the password of this account",
            "Type it, or give it as a line of standard input",
        )
    return secret


def _create(manager: Any, plan: WindowsPlan, password: str | None) -> Any:
    return win32service.CreateService(
        manager,
        plan.name,
        plan.display_name,
        win32service.SERVICE_ALL_ACCESS,
        win32service.SERVICE_WIN32_OWN_PROCESS,
        win32service.SERVICE_AUTO_START,
        win32service.SERVICE_ERROR_NORMAL,
        plan.command_line,
        None,
        0,
        None,
        plan.account,
        password,
    )


def _change(service: Any, plan: WindowsPlan, password: str | None) -> bool:
    """Bring a service up to date; whether it has to be started anew for that."""
    before = win32service.QueryServiceConfig(service)
    win32service.ChangeServiceConfig(
        service,
        win32service.SERVICE_WIN32_OWN_PROCESS,
        win32service.SERVICE_AUTO_START,
        win32service.SERVICE_ERROR_NORMAL,
        plan.command_line,
        None,
        0,
        None,
        plan.account,
        password,
        plan.display_name,
    )
    return (before[3], before[7]) != (plan.command_line, plan.account)


def _configure(service: Any, plan: WindowsPlan) -> None:
    change = win32service.ChangeServiceConfig2
    change(service, win32service.SERVICE_CONFIG_DESCRIPTION, DESCRIPTION)
    change(service, win32service.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, True)
    actions = failure_actions(win32service.SC_ACTION_RESTART)
    change(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS, actions)
    change(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, True)
    change(service, win32service.SERVICE_CONFIG_PRESHUTDOWN_INFO, plan.preshutdown * 1000)
