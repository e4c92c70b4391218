"""Staging folders: where temporary files lie, on the volume of their destination and out of sight.

After a crash, a file that is missing from its staging folder counts as delivered. So a staging
folder is used only if it is a folder, no link, and belongs to the account that runs Synqup.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from pipeline.durable import flush_folder, make_folder
from stages.delivery.rename import probed

#: Mode of the folders that only Synqup uses.
OWN_MODE = 0o700
#: The name of a staging folder within or beside a destination.
NAME = ".synqup"
#: Names of temporary files: no other file is ever removed from a staging folder.
TEMPORARY_NAME = re.compile(r"[0-9a-f]{64}(-[0-9a-f]+)*(\.\w+){0,2}")


class Staging:
    """Finds or makes the staging folder for each destination; both are durable then.

    own: the folder in state_dir, used for every destination on the same volume, if renames work
    between the two. mount_of: the mount that holds a folder whose path has no links. Used by
    several threads.
    """

    def __init__(self, own: Path, mount_of: Callable[[Path], object] = lambda _: None) -> None:
        self._own = own
        self._mount_of = mount_of
        self._kept: frozenset[str] = frozenset()
        self._cleared: set[Path] = set()
        # Part of each name: tells the files of this process from those of earlier ones.
        self._mark = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        make_folder(own.parent, 0o750)
        make_own(own)
        self._own_path = own.resolve()
        self._volume = own.stat().st_dev

    def keep(self, staged: Collection[str]) -> None:
        """Remove the temporary files of earlier processes but for these.

        Those in state_dir are removed now, others when their folder is first used. To be called
        before the first temporary file is made.
        """
        self._kept = frozenset(staged)
        self._clear(self._own)

    def for_folder(self, folder: Path, mode: int) -> Path:
        """The staging folder for a destination; both are made if missing. OSError.

        mode: of the destination. On another volume or mount than state_dir the staging folder is
        `.synqup` beside the destination, or within it where the destination is a mount point. On
        Windows it is always within: what is made there inherits the access rights of the
        destination, and a rename keeps them.
        """
        make_folder(folder, mode)
        place = self._place(folder)
        make_own(place)
        if place not in self._cleared:
            self._clear(place)
        return place

    def new_name(self, digest: str) -> str:
        """A name for a temporary file that no other has, not even one whose call still hangs.

        digest: of the document's key (Key.digest).
        """
        return f"{digest}-{self._mark}-{next(self._numbers):x}"

    def is_gone(self, place: Path, folder: Path) -> bool:
        """Whether a staging folder is missing because the volume of its destination is."""
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        return not place.is_dir() and self._place(existing) == self._own != place

    def _clear(self, place: Path) -> None:
        """Remove the files of earlier processes from a staging folder, but for those to keep."""
        self._cleared.add(place)
        for leftover in place.iterdir():
            name = leftover.name
            if not TEMPORARY_NAME.fullmatch(name) or f"-{self._mark}-" in name:
                continue
            if leftover.stem not in self._kept:
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)

    def _place(self, folder: Path) -> Path:
        if os.name == "nt":
            return folder / NAME
        volume = folder.stat().st_dev
        mount = self._mount_of(folder.resolve())
        if self._volume == volume and self._mount_of(self._own_path) == mount:
            return self._own
        parent = folder.parent
        is_one = parent.stat().st_dev == volume and self._mount_of(parent.resolve()) == mount
        return (parent if is_one else folder) / NAME


def is_private(place: Path) -> bool:
    """Whether no other account can have removed a file from a staging folder. OSError.

    On Windows the access rights of the destination apply, and are trusted.
    """
    if sys.platform == "win32":
        return True
    found = os.lstat(place)
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def make_own(place: Path) -> None:
    """Make a staging folder, unless it is there; OSError if it is not Synqup's own."""
    with suppress(FileNotFoundError):
        _check_own(place)
        return
    try:
        place.mkdir(mode=OWN_MODE)
    except FileExistsError:
        _check_own(place)
        return
    _hide(place)
    try:
        flush_folder(place.parent)
    except OSError:
        with suppress(OSError):
            place.rmdir()
        raise


def _check_own(place: Path) -> None:
    found = os.lstat(place)
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(place, "this is not a folder but a link or a file; remove it")
    if sys.platform == "win32":
        _hide(place)
        return
    # Some shares report another owner for every file, so compare with a file made just now.
    if found.st_uid != os.geteuid() and found.st_uid != probed(place).st_uid:
        raise _refused(place, "this folder belongs to another account; remove it")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        with suppress(OSError):
            place.chmod(OWN_MODE)


def _hide(place: Path) -> None:
    """Give a staging folder the attribute that hides it: on Windows a leading dot does not."""
    if sys.platform == "win32" and place.name == NAME:
        import ctypes  # noqa: PLC0415 - windll exists nowhere else

        found = place.stat().st_file_attributes
        if not found & stat.FILE_ATTRIBUTE_HIDDEN:
            # A file system that has no such attribute shows the folder, which does no harm.
            ctypes.windll.kernel32.SetFileAttributesW(
                os.fspath(place), found | stat.FILE_ATTRIBUTE_HIDDEN
            )


def _refused(place: Path, why: str) -> OSError:
    return OSError(errno.EPERM, why, str(place))
