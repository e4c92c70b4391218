"""Windows API: handles of the Service Control Manager (SCM), and its errors in words."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

if sys.platform != "win32":
    raise ImportError("the Service Control Manager is Windows's")

import pywintypes
import win32service

from pipeline.app.service_manager.definition import ServiceError
from pipeline.app.service_manager.windows_plan import HOST

#: Errors of the Windows API.
DENIED, MISSING, RUNS_ALREADY, NOT_ACTIVE, MARKED_FOR_DELETE = 5, 1060, 1056, 1062, 1072


def is_ours(manager: Any, name: str) -> bool:
    """Whether a service of ours has this name. ServiceError if another one has."""
    if not exists(manager, name):
        return False
    with (
        in_words(name, "ask for"),
        open_service(manager, name, win32service.SERVICE_QUERY_CONFIG) as service,
    ):
        command = win32service.QueryServiceConfig(service)[3]
    if HOST not in command:
        raise ServiceError(
            f"service {name}",
            "there is a service of this name that `synqup service` has not made",
            "Remove it (sc delete), or give --name another one",
        )
    return True


def account_of(manager: Any, name: str) -> str:
    """The account that runs a service."""
    with (
        in_words(name, "ask for"),
        open_service(manager, name, win32service.SERVICE_QUERY_CONFIG) as service,
    ):
        return str(win32service.QueryServiceConfig(service)[7])


def exists(manager: Any, name: str) -> bool:
    """Whether there is a service of this name."""
    try:
        service = win32service.OpenService(manager, name, win32service.SERVICE_QUERY_STATUS)
    except pywintypes.error as error:
        if error.winerror == MISSING:
            return False
        raise _refused(name, "ask for", error) from None
    win32service.CloseServiceHandle(service)
    return True


def delete(service: Any) -> None:
    """Delete a service whose installation has failed."""
    with suppress(pywintypes.error):
        win32service.DeleteService(service)


@contextmanager
def open_manager(name: str, access: int) -> Iterator[Any]:
    """The SCM, for something with a service of this name."""
    with in_words(name, "manage"):
        manager = win32service.OpenSCManager(None, None, access)
    try:
        yield manager
    finally:
        win32service.CloseServiceHandle(manager)


@contextmanager
def open_service(
    manager: Any, name: str, access: int = win32service.SERVICE_ALL_ACCESS
) -> Iterator[Any]:
    """A service."""
    service = win32service.OpenService(manager, name, access)
    try:
        yield service
    finally:
        win32service.CloseServiceHandle(service)


@contextmanager
def opened_service(name: str, what: str) -> Iterator[Any]:
    """A service that is to be started or stopped. what: the verb for that."""
    access = (
        win32service.SERVICE_START | win32service.SERVICE_STOP | win32service.SERVICE_QUERY_STATUS
    )
    with open_manager(name, win32service.SC_MANAGER_CONNECT) as manager:
        if not exists(manager, name):
            raise ServiceError(
                f"service {name}", "it is not installed", "Run `synqup service install` first"
            )
        with in_words(name, what), open_service(manager, name, access) as service:
            yield service


@contextmanager
def suppress_code(code: int) -> Iterator[None]:
    """Suppress one error of the Windows API."""
    try:
        yield
    except pywintypes.error as error:
        if error.winerror != code:
            raise


@contextmanager
def in_words(name: str, what: str) -> Iterator[None]:
    """Put errors of the Windows API into words."""
    try:
        yield
    except pywintypes.error as error:
        raise _refused(name, what, error) from None


def _refused(name: str, what: str, error: Any) -> ServiceError:
    subject = f"service {name}"
    if error.winerror == DENIED:
        return ServiceError(
            subject,
            f"to {what} it needs the rights of an administrator",
            "Open the terminal with `Run as administrator`, and try again",
        )
    if error.winerror == MARKED_FOR_DELETE:
        return ServiceError(
            subject,
            "it is being removed, and something still looks at it",
            "Close the Services console and the Task Manager, and try again",
        )
    return ServiceError(subject, f"Windows refuses to {what} it: {error.strerror.rstrip('.')}")
