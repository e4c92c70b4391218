"""Where a file lies until it is whole: on the volume of its folder, out of the importer's sight."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from stages.folders.flush import flush_folder
from stages.folders.volumes import Volumes

#: Mode of the folders that only the agent looks into, before the umask.
OWN_MODE = 0o700


class Staging:
    """Finds the temporary folder for each destination and makes both durable.

    own: the agent's own folder in state_dir, used for every destination on the same volume.
    volumes: what remembers the others.
    """

    def __init__(self, own: Path, volumes: Volumes) -> None:
        self._own = own
        self._volumes = volumes
        make_folder(own, OWN_MODE)

    def for_folder(self, folder: Path, mode: int) -> Path:
        """The temporary folder for files meant for this one, which is made if missing. OSError.

        On another volume than state_dir it is `.synqup` beside the destination, or within it
        where the destination is a volume of its own. On Windows it is always within: what is
        made there inherits the access rights of the destination, and a rename keeps them.
        """
        self._volumes.check(folder)
        make_folder(folder, mode)
        place = self._place(folder)
        make_folder(place, OWN_MODE)
        return place

    def is_gone(self, place: Path, folder: Path) -> bool:
        """Whether a temporary folder is missing because the volume of its destination is."""
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        return not place.is_dir() and self._place(existing) == self._own != place

    def clear(self, kept: Collection[str]) -> None:
        """Remove what an earlier process left in the agent's own folder, but for these names."""
        for leftover in self._own.iterdir():
            if leftover.stem not in kept:
                leftover.unlink(missing_ok=True)

    def _place(self, folder: Path) -> Path:
        if os.name == "nt":
            return folder / ".synqup"
        volume = folder.stat().st_dev
        if self._own.stat().st_dev == volume:
            return self._own
        beside = folder.parent if folder.parent.stat().st_dev == volume else folder
        return beside / ".synqup"


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder with its parents, durably: what is put into it survives a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    flush_folder(folder.parent)
