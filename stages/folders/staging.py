"""Where a file lies until it is whole: on the volume of its folder, out of the importer's sight."""

from __future__ import annotations

import os
from pathlib import Path

#: Modes of what is made here, before the umask.
FOLDER_MODE = 0o750
FILE_MODE = 0o640


class Staging:
    """Finds the temporary folder for each destination and makes both durable.

    own: the agent's own folder in state_dir, used for every destination on the same volume.
    """

    def __init__(self, own: Path) -> None:
        self._own = own
        make_folder(own)

    def for_folder(self, folder: Path) -> Path:
        """The temporary folder for files meant for this one, which is made if missing. OSError.

        On another volume than state_dir it is `.synqup` beside the destination, or within it
        where the destination is a volume of its own.
        """
        make_folder(folder)
        volume = folder.stat().st_dev
        if self._own.stat().st_dev == volume:
            return self._own
        beside = folder.parent if folder.parent.stat().st_dev == volume else folder
        hidden = beside / ".synqup"
        make_folder(hidden)
        return hidden

    def clear(self) -> None:
        """Remove what an earlier process left behind in the agent's own folder."""
        for leftover in self._own.iterdir():
            leftover.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, durably: what is put into it survives a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable. Windows has no such call: NTFS journals them itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
