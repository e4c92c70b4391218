"""Known volumes: remembers the mounted volumes of the destinations, to notice a missing one.

A volume that is not mounted leaves an empty folder, its mount point. What is written there is
hidden as soon as the volume is mounted again, so nothing may be.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from pipeline.durable import replace_file


class Volumes:
    """The mount points of the destinations' volumes, one a line in a file of the state folder.

    Thread-safe. No thread holds the lock while it touches a volume, which may hang.

    is_mounted: whether a volume is mounted at a path.
    """

    def __init__(self, path: Path, is_mounted: Callable[[str], bool] = os.path.ismount) -> None:
        self._path = path
        self._is_mounted = is_mounted
        self._known: set[str] = set()
        self._size = 0
        self._lock = threading.Lock()

    def check(self, folder: Path) -> None:
        """Remember the volume of a folder. OSError if a known one is not mounted there any more."""
        parents = [str(parent) for parent in (folder, *folder.parents)]
        with self._lock:
            self._read_changes()
            known = self._known & set(parents)
        for parent in parents:
            if parent in known and not self._is_mounted(parent):
                raise OSError(
                    errno.ENODEV,
                    "no volume is mounted there any more; mount it, or, to deliver to this disk"
                    f" from now on, remove its line from {self._path}",
                    parent,
                )
        mounted = next((parent for parent in parents if self._is_mounted(parent)), "")
        if mounted and mounted != parents[-1] and mounted not in known:
            with self._lock:
                self._remember(mounted)

    def _read_changes(self) -> None:
        """Read the file again if it has changed, for instance by its administrator."""
        with suppress(FileNotFoundError):
            if (size := self._path.stat().st_size) != self._size:
                self._known = set(self._path.read_text("utf-8", "surrogateescape").splitlines())
                self._size = size

    def _remember(self, volume: str) -> None:
        self._read_changes()
        if volume in self._known:
            return
        # Replaced as a whole: after a crash, half a line would name another volume.
        text = "".join(f"{one}\n" for one in (*sorted(self._known), volume))
        data = text.encode("utf-8", "surrogateescape")
        replace_file(self._path, BytesIO(data), 0o640)
        self._known = {*self._known, volume}
        self._size = len(data)
