"""Remembers the volumes that documents went to, so that none is written below where one was."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path


class Volumes:
    """The mounted volumes of the destinations, a line each in a file of the state folder.

    A volume that is not mounted leaves an empty folder behind, and what is written there lies
    hidden below the volume when that comes back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[str] = set()
        self._size = 0

    def check(self, folder: Path) -> None:
        """Raise OSError if a volume that this folder was on is not there; else remember it."""
        self._learn()
        parents = [str(parent) for parent in (folder, *folder.parents)]
        for parent in parents:
            if parent in self._known and not os.path.ismount(parent):
                raise OSError(
                    errno.ENODEV,
                    "no volume is mounted there any more; if the documents are to lie on this"
                    f" disk from now on, remove its line from {self._path}",
                    parent,
                )
        mounted = next((parent for parent in parents if os.path.ismount(parent)), "")
        if mounted and mounted != parents[-1] and mounted not in self._known:
            self._remember(mounted)

    def _learn(self) -> None:
        """Read what this process, or another of ours, has added to the file."""
        with suppress(FileNotFoundError):
            if (size := self._path.stat().st_size) != self._size:
                self._known = set(self._path.read_text("utf-8").splitlines())
                self._size = size

    def _remember(self, volume: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{volume}\n")
            file.flush()
            os.fsync(file.fileno())
        self._known.add(volume)
