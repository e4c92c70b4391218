"""Accounts and folders of a Linux service: made if missing, removed if that was in vain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

if sys.platform == "win32":
    raise ImportError("these are accounts of POSIX")

import pwd

from pipeline.app.service_manager.definition import ServiceError
from pipeline.files import os_reason


def identity_of(account: str) -> dict[str, Any] | None:
    """The identity of an account, as subprocess.run() takes it; None if there is none."""
    try:
        found = pwd.getpwnam(account)
    except KeyError:
        return None
    groups = os.getgrouplist(account, found.pw_gid)
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": groups}


def make_account(account: str, undo: ExitStack) -> None:
    """Make an account that nobody can sign in to. Raises ServiceError."""
    shell = next((one for one in ("/usr/sbin/nologin", "/sbin/nologin") if Path(one).exists()), "")
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
    ]
    _run(account, [*command, "--shell", shell or "/bin/false", account])
    undo.callback(_remove_account, account)


def make_folder(folder: Path, identity: dict[str, Any], undo: ExitStack) -> None:
    """Make a missing folder for an account, and its parents for root. Raises ServiceError."""
    try:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir(mode=0o755 if one != folder else 0o750)
            undo.callback(_remove_folder, one)
        # Not by its name: whoever controls a parent could have put a link there.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchown(descriptor, identity["user"], identity["group"])
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ServiceError(
            str(folder), f"the folder can't be made ({os_reason(error)})", "Make it, and try again"
        ) from None


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _remove_account(account: str) -> None:
    with suppress(ServiceError):
        _run(account, ["userdel", account])


def _run(account: str, command: Sequence[str]) -> None:
    subject = f"account {account}"
    # /usr/sbin is not always in the path of who became root.
    program = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin:/sbin")
    if program is None:
        raise ServiceError(subject, f"there is no such account, and no {command[0]} to make it")
    done = subprocess.run(  # noqa: S603 - the name is an argument of its own
        [program, *command[1:]], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"{command[0]} ended with {done.returncode}"
        raise ServiceError(subject, said)
