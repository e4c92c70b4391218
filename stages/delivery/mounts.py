"""Mount table: which volume holds a path, found without touching any disk.

Linux lists the mounted volumes in a file that the kernel makes up (proc(5)); to read it is safe
even while a volume hangs. Windows has the drive or the share in the path itself. Elsewhere all
folders count as one volume.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from pipeline.long_paths import local_path

#: Linux's table of the mounted volumes of this process.
MOUNT_INFO = "/proc/self/mountinfo"


class MountTable:
    """The mounted volumes as of the last refresh()."""

    def __init__(self) -> None:
        self._table = b""
        self._mount_points: list[str] = []

    def refresh(self) -> bool:
        """Read the table again; whether it has changed. One that can't be read has not."""
        if sys.platform != "linux":
            return False
        with suppress(OSError):
            table = _read(MOUNT_INFO)
            if table != self._table:
                self._mount_points = sorted(_mount_points(table), key=len, reverse=True)
                self._table = table
                return True
        return False

    def is_mounted(self, path: str) -> bool:
        """Whether a volume is mounted at a path; without a table the path itself is asked."""
        return path in self._mount_points if self._table else os.path.ismount(local_path(path))

    def volume_of(self, folder: Path) -> str:
        """The mount point of the volume that holds a folder; on Windows its drive or share."""
        if sys.platform == "win32":
            return os.path.splitdrive(str(folder))[0].casefold()
        path = f"{folder}/"
        return next(
            (one for one in self._mount_points if path.startswith(one.rstrip("/") + "/")), "/"
        )


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = b""
        while piece := os.read(descriptor, 1 << 16):
            data += piece
        return data
    finally:
        os.close(descriptor)


def _mount_points(table: bytes) -> set[str]:
    """The mount points in a table, whose blanks and the like are written as octal numbers."""
    points = {line.split(b" ", 5)[4] for line in table.splitlines()}
    return {os.fsdecode(point.decode("unicode_escape").encode("latin-1")) for point in points}
