"""Windows rights: what the account of a service gets, and the registry in which that is noted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.platform != "win32":
    raise ImportError("these are rights of Windows")

import winreg

import win32security

from pipeline.app.service_manager.status import Say
from pipeline.app.service_manager.windows_plan import Grant, WindowsPlan, revoke_command

SERVICES = r"SYSTEM\CurrentControlSet\Services"
#: The value under Parameters that names what an installation has given its account rights to.
GRANTED = "Granted"


def write_registry(plan: WindowsPlan) -> None:
    """Note the environment of the service, and what its account gets rights to."""
    key = rf"{SERVICES}\{plan.name}"
    with winreg.CreateKey(winreg.HKEY_LOCAL_MACHINE, key) as service:
        if plan.environment:
            winreg.SetValueEx(
                service, "Environment", 0, winreg.REG_MULTI_SZ, list(plan.environment)
            )
    paths = [str(grant.path) for grant in plan.grants]
    with winreg.CreateKey(winreg.HKEY_LOCAL_MACHINE, rf"{key}\Parameters") as parameters:
        winreg.SetValueEx(parameters, GRANTED, 0, winreg.REG_MULTI_SZ, paths)


def revoke(name: str, account: str) -> None:
    """Take from the account what an installation has given it."""
    for path in _granted(name):
        subprocess.run(  # noqa: S603 - paths of our own
            revoke_command(path, account), capture_output=True, check=False
        )


def _granted(name: str) -> list[str]:
    try:
        path = rf"{SERVICES}\{name}\Parameters"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
            return list(winreg.QueryValueEx(key, GRANTED)[0])
    except OSError:
        return []


def allow_logon(account: str) -> None:
    """Give an account the right to log on as a service, which only consoles give by themselves."""
    sid, _, _ = win32security.LookupAccountName(None, account.removeprefix(".\\"))
    rights = win32security.POLICY_CREATE_ACCOUNT | win32security.POLICY_LOOKUP_NAMES
    policy = win32security.LsaOpenPolicy(None, rights)
    win32security.LsaAddAccountRights(policy, sid, ["SeServiceLogonRight"])


def grant_rights(plan: WindowsPlan, made: Sequence[Path], say: Say) -> None:
    """Give the account its rights; to a state folder of our own making nobody else has any."""
    for number, grant in enumerate(plan.grants):
        if not grant.path.exists():
            continue
        private = number == 0 and grant.path in made
        wanted = Grant(grant.path, grant.rights, private)
        done = subprocess.run(  # noqa: S603 - paths of our own
            wanted.command(plan.account), capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            say(f"could not give {plan.account} rights to {grant.path}: {said}; do so by hand")
        else:
            say(f"gave {plan.account} rights to {grant.path}")
