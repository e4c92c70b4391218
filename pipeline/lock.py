"""Keeps a state folder to one process."""

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
        state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
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
