"""Windows plan: what is installed with the Service Control Manager, as plain data.

It is made without Windows, so that it can be shown and tested anywhere; windows.py carries it out.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from enum import Enum
from pathlib import Path, PurePath, PureWindowsPath

from msgspec import Struct

from pipeline.app.service_manager.definition import ServiceDefinition, ServiceError

DESCRIPTION = "Brings invoices and bank statements from cloud mailboxes to the accounting package."
#: The module that Windows starts.
HOST = "pipeline.app.windows_service"
#: Seconds until it is started again after the first, the second and each further failure, and
#: after how many without one they are counted anew.
RECOVERY = (5, 60, 300)
RECOVERY_RESET = 86_400
#: Administrators and the system itself, by their numbers: their names differ by language.
_OWNERS = ("*S-1-5-32-544", "*S-1-5-18")
#: The folder of the users' profiles, as Windows is installed.
PROFILES = PureWindowsPath(r"C:\Users")
_BUILT_IN = {
    "localsystem": "LocalSystem",
    "localservice": r"NT AUTHORITY\LocalService",
    "networkservice": r"NT AUTHORITY\NetworkService",
}


class AccountKind(Enum):
    """What kind of account runs a service."""

    VIRTUAL = "virtual account, which exists for this service alone"
    MANAGED = "group managed service account (gMSA)"
    BUILT_IN = "account of Windows itself"
    ORDINARY = "ordinary account"


class Grant(Struct, frozen=True):
    """Rights to one path. rights: as icacls(1) writes them. private: for nobody else by then."""

    path: Path
    rights: str
    private: bool = False

    def command(self, account: str) -> list[str]:
        """The command that grants them."""
        command = ["icacls", str(self.path)]
        if self.private:
            owners = [f"{owner}:(OI)(CI)F" for owner in _OWNERS]
            return [*command, "/inheritance:r", "/grant:r", f"{account}:{self.rights}", *owners]
        return [*command, "/grant", f"{account}:{self.rights}"]


def revoke_command(path: str | Path, account: str) -> list[str]:
    """The command that takes from an account what Grant has given it."""
    return ["icacls", str(path), "/remove:g", account]


class WindowsPlan(Struct, frozen=True):
    """A service of Windows. command_line: as CreateService takes it.

    environment: its own variables, as NAME=VALUE. preshutdown: seconds that Windows waits for it
    when it shuts down. grants: what its account has to be given, in order.
    """

    name: str
    display_name: str
    command_line: str
    environment: tuple[str, ...]
    account: str
    kind: AccountKind
    preshutdown: int
    grants: tuple[Grant, ...]


def make_plan(
    definition: ServiceDefinition,
    executable: str,
    base_executable: str,
    profiles: PurePath = PROFILES,
) -> WindowsPlan:
    """Plan a service. executable: the interpreter; base_executable: the one of which it is made.

    They differ in a virtual environment, whose python.exe only starts the other one: Windows
    would take it for the service, which it is not. profiles: the folder of the users' profiles.
    Raises ServiceError for an account that can't run it.
    """
    account, kind = _account(definition)
    arguments = ["-I", "-X", "utf8", "-m", HOST, "--config", str(definition.config)]
    if definition.variables:
        arguments += ["--environment", str(definition.environment_file)]
    environment: tuple[str, ...] = ()
    if executable != base_executable:
        # As the python.exe of the virtual environment itself does it.
        environment = (f"__PYVENV_LAUNCHER__={executable}",)
    name = definition.name
    return WindowsPlan(
        name=name,
        display_name="Synqup" if name == "synqup" else f"Synqup ({name})",
        command_line=subprocess.list2cmdline([base_executable, *arguments]),
        environment=environment,
        account=account,
        kind=kind,
        preshutdown=definition.stop_timeout,
        grants=tuple(_grants(definition, profiles)),
    )


def plan_text(plan: WindowsPlan) -> str:
    """What would be installed, for people."""
    again = ", ".join(f"{seconds} s" for seconds in RECOVERY)
    lines = [
        f"service      {plan.name} ({plan.display_name})",
        f"runs         {plan.command_line}",
        *(f"environment  {one}" for one in plan.environment),
        f"account      {plan.account} ({plan.kind.value})",
        "start        automatic, delayed",
        f"recovery     started again after {again}, counted anew after a day without a failure;",
        "             not after exit status 2, for then someone has to correct the configuration",
        f"stop         drains; at a shutdown Windows waits for it for {plan.preshutdown} s",
        f"event log    start, stop and failures, in Application as {plan.name}",
        *(
            f"rights       {subprocess.list2cmdline(grant.command(plan.account))}"
            for grant in plan.grants
        ),
    ]
    return "\n".join(lines) + "\n"


def needs_password(plan: WindowsPlan) -> bool:
    """Whether Windows has to be given the password of the account."""
    return plan.kind is AccountKind.ORDINARY


def needs_logon_right(plan: WindowsPlan) -> bool:
    """Whether the account has to be given the right to log on as a service."""
    return plan.kind in (AccountKind.ORDINARY, AccountKind.MANAGED)


def virtual_account(name: str) -> str:
    """The account that Windows makes up for the service of this name."""
    return rf"NT SERVICE\{name}"


def failure_actions(restart: int) -> dict[str, object]:
    """The recovery ladder, as pywin32 takes a SERVICE_FAILURE_ACTIONS.

    restart: the number of SC_ACTION_RESTART.
    """
    return {
        "ResetPeriod": RECOVERY_RESET,
        "RebootMsg": "",
        "Command": "",
        "Actions": [(restart, seconds * 1000) for seconds in RECOVERY],
    }


def _account(definition: ServiceDefinition) -> tuple[str, AccountKind]:
    account = definition.account.strip()
    domain, _, user = account.rpartition("\\")
    if domain.casefold() == "nt service":
        if user.casefold() != definition.name.casefold():
            raise ServiceError(
                f"account {account}",
                "a virtual account bears the name of its service",
                f"Write {virtual_account(definition.name)}, or leave --account out",
            )
        return virtual_account(definition.name), AccountKind.VIRTUAL
    if domain.casefold() in ("", "nt authority") and user.casefold() in _BUILT_IN:
        return _BUILT_IN[user.casefold()], AccountKind.BUILT_IN
    if account.endswith("$"):
        return account, AccountKind.MANAGED
    if not domain and "@" not in user:
        account = f".\\{user}"
    return account, AccountKind.ORDINARY


def _grants(definition: ServiceDefinition, profiles: PurePath) -> Sequence[Grant]:
    """Rights to what it writes to and reads, from which nothing is taken that others have.

    What lies outside of the users' profiles every account may read anyway, but for secrets.
    """
    grants = [Grant(definition.state_dir, "(OI)(CI)M")]
    grants += [Grant(path, "(OI)(CI)M") for path in definition.writable]
    configured = (definition.config, *definition.included)
    grants += [Grant(file.parent, "(RX)") for file in configured]
    read = [*configured, *definition.secret_files]
    if definition.variables:
        read.append(definition.environment_file)
    grants += [Grant(path, "R") for path in read]
    grants += [
        Grant(path, "(OI)(CI)RX") for path in definition.installed_in if _lies_in(path, profiles)
    ]
    return list(dict.fromkeys(grants))


def _lies_in(path: PurePath, folder: PurePath) -> bool:
    return PureWindowsPath(str(path)).is_relative_to(PureWindowsPath(str(folder)))
