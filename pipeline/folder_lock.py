"""Folder lock: keeps processes, of other machines as well, from changing a folder at once."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

#: The file that is locked, and the seconds to wait for another process, which holds it while it
#: writes one document.
NAME = ".lock"
TIMEOUT = 30.0


@contextmanager
def folder_lock(folder: Path, timeout: float = TIMEOUT) -> Iterator[None]:
    """Have a folder, which exists, for as long as the block runs. For threads that may block.

    OSError if that is not possible, TimeoutError if somebody else has it for longer than timeout
    seconds.
    """
    lock = FileLock(folder / NAME, timeout=timeout, mode=0o600)
    try:
        lock.acquire()
    except NotImplementedError:
        raise OSError(errno.ENOLCK, "its file system has no locks", str(folder / NAME)) from None
    try:
        yield
    finally:
        lock.release()
