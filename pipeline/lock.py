"""Keeps a state folder to one program: one first process, and the workers that it started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import StateError, StateInUse

#: Seconds in which a worker process ends that has lost its first process.
ORPHAN = 20.0


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
        # The workers of one that was killed end by themselves, and may not have done so yet.
        for orphan in state_dir.glob(_worker("*")):
            _wait_for(orphan)
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


def _wait_for(orphan: Path) -> None:
    try:
        FileLock(orphan, timeout=ORPHAN).acquire().lock.release()
    except Timeout:
        raise StateInUse(
            str(orphan.parent),
            "a worker process of a synqup that was killed has yet to end",
            f"Start again later; if that does not help, end the process that has {orphan.name} open"
            " there (its command is python -m pipeline.worker)",
        ) from None


@contextmanager
def only_worker(state_dir: Path, number: int) -> Iterator[None]:
    """Let whoever owns the state folder next wait for the end of this worker process."""
    with FileLock(state_dir / _worker(number), timeout=ORPHAN):
        yield


def _worker(number: int | str) -> str:
    return f"worker-{number}.lock"


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
