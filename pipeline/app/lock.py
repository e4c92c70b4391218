"""Single-instance lock: one process at a time works with a state folder, and a safe one only.

The operating system releases the lock however the process ends, also by a kill or a power cut.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.app.restoring import finish
from pipeline.app.state_folder import unusable
from pipeline.durable import NO_LINK, make_folder
from pipeline.errors import StateError, StateInUse
from pipeline.files import os_reason

#: Bytes that are read of the file that names the owner; a process number needs a few.
MAX_OWNER = 100


@contextmanager
def single_instance(state_dir: Path) -> Iterator[None]:
    """Hold the lock of the state folder while the block runs; the folder is made if missing.

    A restore that was broken off after its commit is finished first. Raises StateInUse when another
    process holds the lock; StateError when the folder can't be used, belongs to another account, or
    may be written to by every account.
    """
    owner = state_dir / "owner"
    lock = FileLock(state_dir / "lock", timeout=0)
    try:
        make_folder(state_dir, 0o750)
        if os.name != "nt":  # there a folder has the access rights of the one it is made in
            _refuse_foreign(state_dir)
        lock.acquire()
        finish(state_dir)
        _write(owner, f"{os.getpid()}\n")
    except Timeout:
        raise StateInUse(
            str(state_dir),
            f"another synqup (process {_read(owner)}) already works with this folder",
        ) from None
    except OSError as error:
        raise unusable(state_dir, error) from None
    with lock:
        yield


def owner_of(state_dir: Path) -> str:
    """The number of the process that works with the state folder; empty if none does.

    Raises StateError where that can't be found out.
    """
    lock = FileLock(state_dir / "lock", timeout=0)
    try:
        if not (state_dir / "lock").exists():
            return ""
        with lock:
            return ""
    except Timeout:
        return _read(state_dir / "owner")
    except OSError as error:
        raise StateError(
            str(state_dir),
            f"it can't be found out who works with it ({os_reason(error)})",
            "Ask as the account that runs synqup",
        ) from None


def _refuse_foreign(state_dir: Path) -> None:
    """Refuse a folder that others control: what they put there would be taken for our own."""
    ours = {0, os.geteuid()}
    for part in (state_dir, *state_dir.parents):
        found = part.lstat()
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in ours:
            raise StateError(
                str(state_dir),
                f"{part} is a link that another account has laid",
                "Name a folder in state_dir that belongs to the account that runs synqup",
            )
    found = state_dir.stat()
    if found.st_uid not in ours:
        raise StateError(
            str(state_dir),
            "the state folder belongs to another account",
            "Run synqup as the account that owns it, or name another state_dir",
        )
    if found.st_mode & stat.S_IWOTH:
        raise StateError(
            str(state_dir),
            "every account of this machine may write to the state folder",
            "Allow it to the account that runs synqup alone (chmod o-w)",
        )
    for name in ("lock", "owner"):
        path = state_dir / name
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise StateError(str(path), "this is no file of synqup's own", "Remove it")


def _write(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_LINK
    with os.fdopen(os.open(path, flags, 0o640), "w") as file:
        file.write(text)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_OWNER).decode("ascii", "replace").strip() or "unknown"
    except OSError:
        return "unknown"
