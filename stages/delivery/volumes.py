"""Remembers the volumes that documents went to, so that none is written below where one was."""

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
    """The mounted volumes of the destinations, a line each in a file of the state folder.

    A volume that is not mounted leaves an empty folder behind, and what is written there lies
    hidden below the volume when that comes back. Used by several threads; none of them holds the
    lock while it asks a volume anything.

    is_mounted: whether a volume is mounted at a path.
    """

    def __init__(self, path: Path, is_mounted: Callable[[str], bool] = os.path.ismount) -> None:
        self._path = path
        self._is_mounted = is_mounted
        self._known: set[str] = set()
        self._size = 0
        self._lock = threading.Lock()

    def check(self, folder: Path) -> None:
        """Raise OSError if a volume that this folder was on is not there; else remember it."""
        parents = [str(parent) for parent in (folder, *folder.parents)]
        with self._lock:
            self._learn()
            known = self._known & set(parents)
        for parent in parents:
            if parent in known and not self._is_mounted(parent):
                raise OSError(
                    errno.ENODEV,
                    "no volume is mounted there any more; if the documents are to lie on this"
                    f" disk from now on, remove its line from {self._path}",
                    parent,
                )
        mounted = next((parent for parent in parents if self._is_mounted(parent)), "")
        if mounted and mounted != parents[-1] and mounted not in known:
            with self._lock:
                self._remember(mounted)

    def _learn(self) -> None:
        """Read the file anew where somebody has changed it."""
        with suppress(FileNotFoundError):
            if (size := self._path.stat().st_size) != self._size:
                self._known = set(self._path.read_text("utf-8", "surrogateescape").splitlines())
                self._size = size

    def _remember(self, volume: str) -> None:
        self._learn()
        if volume in self._known:
            return
        # Whole and durable, in place of the one before: half a line would be another volume.
        text = "".join(f"{one}\n" for one in (*sorted(self._known), volume))
        data = text.encode("utf-8", "surrogateescape")
        replace_file(self._path, BytesIO(data), 0o640)
        self._known = {*self._known, volume}
        self._size = len(data)
