"""Service manager: what synqup asks of systemd or of Windows, and which of them this machine has.

All raise ServiceError for what the manager refuses or lacks.
"""

from __future__ import annotations

import sys
from typing import Protocol

from pipeline.app.service_manager.definition import ServiceDefinition, ServiceError
from pipeline.app.service_manager.status import Password, Say, ServiceStatus


class ServiceManager(Protocol):
    """Installs, removes, starts and stops services."""

    def default_account(self, name: str) -> str:
        """The account that a service of this name gets if none is given."""

    def describe(self, definition: ServiceDefinition) -> str:
        """What would be installed, as text of several lines; nothing is changed."""

    def install(
        self, definition: ServiceDefinition, say: Say, password: Password, *, start: bool
    ) -> None:
        """Install a service, or bring it up to date; start it if wanted.

        What was begun is undone when it is refused. Raises CheckFailed too.
        """

    def uninstall(self, name: str, say: Say) -> None:
        """Stop and remove a service; documents and state are left alone."""

    def start(self, name: str, say: Say) -> None:
        """Start it, and wait until it has started."""

    def stop(self, name: str, say: Say) -> None:
        """Stop it, and wait until it has drained."""

    def status(self, name: str) -> ServiceStatus:
        """Whether it is installed and runs."""


def manager_of_this_machine() -> ServiceManager:
    """The service manager of this machine. Raises ServiceError if synqup knows none for it."""
    if sys.platform == "win32":
        from pipeline.app.service_manager.windows import WindowsServices  # noqa: PLC0415 - has pywin32

        return WindowsServices()
    if sys.platform != "linux":
        raise ServiceError(
            "service", f"synqup knows no service manager of {sys.platform}", "Use one by hand"
        )
    from pipeline.app.service_manager.systemd import Systemd  # noqa: PLC0415 - has accounts of POSIX

    return Systemd()
