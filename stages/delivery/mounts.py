"""Mount table: which volume holds a path, found without touching any disk.

Linux lists the mounted volumes in a file that the kernel makes up (proc(5)); to read it is safe
even while a volume hangs. Windows has the drive or the share in the path itself. Elsewhere all
folders count as one volume.

Not every mount is a volume. Where a unit of systemd names the folders that its service may write
to, each is mounted onto itself, with other rights: nothing is hidden when that mount is missing.
But no rename works from one mount into another, even of one volume.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from pipeline.long_paths import local_path

#: Linux's table of the mounted volumes of this process.
MOUNT_INFO = "/proc/self/mountinfo"


class MountTable:
    """The mounted volumes as of the last refresh()."""

    def __init__(self) -> None:
        self._table = b""
        #: Of volumes, and of all mounts, the longest first.
        self._volumes: list[str] = []
        self._mounts: list[str] = []

    def refresh(self) -> bool:
        """Read the table again; whether it has changed. One that can't be read has not."""
        if sys.platform != "linux":
            return False
        with suppress(OSError):
            table = _read(MOUNT_INFO)
            if table != self._table:
                mounts = _parse(table)
                numbered = {one.number: one for one in mounts}
                volumes = [one for one in mounts if not _is_onto_itself(one, numbered)]
                self._mounts, self._volumes = _longest_first(mounts), _longest_first(volumes)
                self._table = table
                return True
        return False

    def is_mounted(self, path: str) -> bool:
        """Whether a volume is mounted at a path; without a table the path itself is asked."""
        return path in self._volumes if self._table else os.path.ismount(local_path(path))

    def volume_of(self, folder: Path) -> str:
        """The mount point of the volume that holds a folder; on Windows its drive or share."""
        if sys.platform == "win32":
            return os.path.splitdrive(str(folder))[0].casefold()
        return _holding(folder, self._volumes)

    def mount_of(self, folder: Path) -> str:
        """The mount point of the mount that holds a folder: renames work within it."""
        return _holding(folder, self._mounts)


class _Mount(Struct, frozen=True):
    """A line of the table. parent: the number of the mount on which it is. device: of the volume.

    root: the folder of the volume that is mounted at `point`.
    """

    number: bytes
    parent: bytes
    device: bytes
    root: str
    point: str


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = b""
        while piece := os.read(descriptor, 1 << 16):
            data += piece
        return data
    finally:
        os.close(descriptor)


def _parse(table: bytes) -> list[_Mount]:
    """The mounts in a table."""
    mounts = []
    for line in table.splitlines():
        number, parent, device, root, point, *_ = line.split(b" ", 5)
        mounts.append(_Mount(number, parent, device, _decoded(root), _decoded(point)))
    return mounts


def _decoded(path: bytes) -> str:
    """A path of the table, in which blanks and the like are written as octal numbers."""
    return os.fsdecode(path.decode("unicode_escape").encode("latin-1"))


def _is_onto_itself(mount: _Mount, mounts: dict[bytes, _Mount]) -> bool:
    """Whether a folder is mounted onto itself: what is there would be there without the mount."""
    below = mounts.get(mount.parent)
    if below is None or below.number == mount.number or below.device != mount.device:
        return False
    inside = os.path.relpath(mount.point, below.point)
    return os.path.normpath(os.path.join(below.root, inside)) == mount.root  # noqa: PTH118


def _longest_first(mounts: Iterable[_Mount]) -> list[str]:
    return sorted({one.point for one in mounts}, key=len, reverse=True)


def _holding(folder: Path, points: list[str]) -> str:
    path = f"{folder}/"
    return next((one for one in points if path.startswith(one.rstrip("/") + "/")), "/")
