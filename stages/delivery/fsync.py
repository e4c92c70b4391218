"""Flushes a whole volume at once, where the system can: everything that was written to it."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from pipeline.durable import flush_folder

#: Files for which one flush of the volume is worth it: it takes what others wrote along.
MIN_GROUP = 4


class Volume:
    """The volume of a folder, kept open so that syncfs(2) tells of the errors since then.

    Only where can_flush_volumes().
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def flush(self) -> None:
        """Make everything durable that was written to the volume since it was opened. OSError."""
        assert _LIBRARY is not None
        if _LIBRARY.syncfs(self._descriptor):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(self._folder))

    def close(self) -> None:
        """Let go of the folder; once."""
        os.close(self._descriptor)


def flush_names(folders: Collection[Path]) -> dict[Path, OSError]:
    """Make the names in folders of one or more volumes durable; those where that failed, and why.

    Where they are many their volumes are flushed at once. A volume that can't be flushed may be so
    for another folder's sake: then each answers for itself.
    """
    if len(folders) >= MIN_GROUP and can_flush_volumes():
        with suppress(OSError):
            for folder in {folder.stat().st_dev: folder for folder in folders}.values():
                volume = Volume(folder)
                try:
                    volume.flush()
                finally:
                    volume.close()
            return {}
    failed = {}
    for folder in folders:
        try:
            flush_folder(folder)
        except OSError as error:
            failed[folder] = error
    return failed


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


_LIBRARY = _load()
