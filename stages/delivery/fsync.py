"""Group flush: makes all that was written to a volume durable with one syncfs(2), on Linux.

Elsewhere, and for small groups, each folder is flushed by itself.
"""

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

#: Files or folders from which on one flush of the volume pays: it also writes what other programs
#: have written.
MIN_GROUP = 4


class Volume:
    """The volume of a folder, kept open so that syncfs(2) reports the errors since then.

    To be used only where can_flush_volumes().
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
        """Close the descriptor. To be called once."""
        os.close(self._descriptor)


def flush_names(folders: Collection[Path]) -> dict[Path, OSError]:
    """Make the names in folders durable; the folders for which that failed, and why.

    From MIN_GROUP folders on, their volumes are flushed as a whole. If that fails, another folder
    of the volume may be the cause, so each folder is flushed by itself to find out.
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
