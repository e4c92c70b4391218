"""Where a file lies until it is whole: on the volume of its folder, out of the importer's sight.

What is missing from such a place is taken for delivered after a crash. So a place is used only if
it is ours: a folder, no link, that belongs to the account that runs us.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import secrets
import stat
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from pipeline.durable import flush_folder, make_folder
from stages.delivery.rename import probed

#: Mode of the folders that only the agent looks into.
OWN_MODE = 0o700
#: The name of a place in or beside a destination.
NAME = ".synqup"
#: Names of temporary files: nothing else is ever removed from a place.
OURS = re.compile(r"[0-9a-f]{64}(-[0-9a-f]+)*(\.\w+)?")


class Staging:
    """Finds the temporary folder for each destination and makes both durable.

    own: the agent's own folder in state_dir, used for every destination on the same volume.
    Used by several threads.
    """

    def __init__(self, own: Path) -> None:
        self._own = own
        self._kept: frozenset[str] = frozenset()
        self._cleared: set[Path] = set()
        # Tells the files of this process from those of earlier ones, which are cleared.
        self._mark = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        make_folder(own.parent, 0o750)
        _make_ours(own)
        self._volume = own.stat().st_dev

    def keep(self, staged: Collection[str]) -> None:
        """Say which temporary files of earlier processes are needed, before the first is made."""
        self._kept = frozenset(staged)
        self._clear(self._own)

    def for_folder(self, folder: Path, mode: int) -> Path:
        """The temporary folder for files meant for this one; both are made if missing. OSError.

        On another volume than state_dir it is `.synqup` beside the destination, or within it
        where the destination is a volume of its own. On Windows it is always within: what is
        made there inherits the access rights of the destination, and a rename keeps them.
        """
        make_folder(folder, mode)
        place = self._place(folder)
        _make_ours(place)
        if place not in self._cleared:
            self._clear(place)
        return place

    def new_name(self, digest: str) -> str:
        """A name for a temporary file of a document that none has had: not even one that hangs."""
        return f"{digest}-{self._mark}-{next(self._numbers):x}"

    def is_gone(self, place: Path, folder: Path) -> bool:
        """Whether a temporary folder is missing because the volume of its destination is."""
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        return not place.is_dir() and self._place(existing) == self._own != place

    def _clear(self, place: Path) -> None:
        """Remove what earlier processes left in a place and nobody needs any more."""
        self._cleared.add(place)
        for leftover in place.iterdir():
            name = leftover.name
            if not OURS.fullmatch(name) or f"-{self._mark}-" in name:
                continue
            if leftover.stem not in self._kept:
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)

    def _place(self, folder: Path) -> Path:
        if os.name == "nt":
            return folder / NAME
        volume = folder.stat().st_dev
        if self._volume == volume:
            return self._own
        beside = folder.parent if folder.parent.stat().st_dev == volume else folder
        return beside / NAME


def is_private(place: Path) -> bool:
    """Whether nobody else can have taken a file out of a place. OSError.

    On Windows the access rights of the destination hold, and are trusted.
    """
    if sys.platform == "win32":
        return True
    found = os.lstat(place)
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _make_ours(place: Path) -> None:
    """Make a folder that only we use, unless it is there and ours. OSError."""
    with suppress(FileNotFoundError):
        _check_ours(place)
        return
    try:
        place.mkdir(mode=OWN_MODE)
    except FileExistsError:
        _check_ours(place)
        return
    try:
        flush_folder(place.parent)
    except OSError:
        with suppress(OSError):
            place.rmdir()
        raise


def _check_ours(place: Path) -> None:
    found = os.lstat(place)
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(place, "this is no folder but a link or a file; remove it")
    if sys.platform == "win32":
        return
    # Some shares show every file as somebody's else: then ours are too.
    if found.st_uid != os.geteuid() and found.st_uid != probed(place).st_uid:
        raise _refused(
            place,
            "this folder belongs to another account; remove it",
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        with suppress(OSError):
            place.chmod(OWN_MODE)


def _refused(place: Path, why: str) -> OSError:
    return OSError(errno.EPERM, why, str(place))
