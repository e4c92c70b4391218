"""Keeps a state folder to one program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import StateError, StateInUse


@contextmanager
def only_process(state_dir: Path) -> Iterator[None]:
    """Own the state folder, which is made if missing, while the block runs.

    Raises StateInUse when another process does, StateError when the folder can't be used. The
    operating system releases the lock however a process ends.
    """
    owner = state_dir / "owner"
    lock = FileLock(state_dir / "lock", timeout=0)
    try:
        _make_durably(state_dir)
        lock.acquire()
        owner.write_text(f"{os.getpid()}\n")
    except Timeout:
        process = owner.read_text().strip() if owner.exists() else "unknown"
        raise StateInUse(
            str(state_dir), f"another synqup (process {process}) already works with this folder"
        ) from None
    except OSError as error:
        raise StateError(
            str(state_dir),
            f"the state folder can't be used ({error.strerror or error})",
            "Name another state_dir, or let this account write there",
        ) from None
    with lock:
        yield


def _make_durably(folder: Path) -> None:
    """Make a folder and its parents so that a power cut leaves them: the ledger lies within."""
    if folder.is_dir():
        return
    _make_durably(folder.parent)
    folder.mkdir(mode=0o750, exist_ok=True)
    if os.name == "nt":
        return  # NTFS journals names itself
    descriptor = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
