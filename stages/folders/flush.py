"""Makes files and names durable: many with one flush where the system can, else one by one."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Files for which one flush of the volume is worth it: it takes what others wrote along.
WORTH_IT = 4


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable. Windows has no such call: NTFS journals them itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def volume(folder: Path) -> Iterator[Callable[[], None]]:
    """Give what makes all durable that was written to a folder's volume since; it raises OSError.

    Only where can_flush_volumes().
    """
    # Opened before anything is written: syncfs(2) tells of the errors since then.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield lambda: _syncfs(descriptor, folder)
    finally:
        os.close(descriptor)


def can_flush_volumes() -> bool:
    """Whether syncfs(2) is there and reports errors: Linux 5.8 and newer."""
    return _LIBRARY is not None


def _load() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    if version is None or (int(version[1]), int(version[2])) < (5, 8):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "syncfs") else None


def _syncfs(descriptor: int, folder: Path) -> None:
    assert _LIBRARY is not None
    if _LIBRARY.syncfs(descriptor):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(folder))


_LIBRARY = _load()
