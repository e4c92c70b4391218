"""Carried files: copies what nodes share out of a state folder into the shared folder, durably.

These are sign-ins, what the feeds of sources have listed, and the quarantine. Nothing is moved or
replaced, so that whatever breaks it off, it is begun again.
"""

from __future__ import annotations

import filecmp
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.durable import make_folder, replace_file
from pipeline.errors import StateError
from pipeline.files import os_reason
from pipeline.folder_lock import NAME as LOCK

#: What all nodes need of a state folder, besides the ledger.
FOLDERS = ("tokens", "feeds", "quarantine")


def refuse_others(state_dir: Path, shared_dir: Path) -> None:
    """Raise StateError where the shared folder has another file under a name that is carried."""
    for path in _files(state_dir):
        target = shared_dir / path.relative_to(state_dir)
        if target.exists() and not _is_same(path, target):
            raise StateError(
                str(target),
                f"there is another file already than {path}, which is to be carried there",
                "Remove the one that is out of date; of two sign-ins that is the one that was made"
                " first",
            )


def copy_files(state_dir: Path, shared_dir: Path) -> int:
    """Copy all of them that are not there yet; how many there are. Raises StateError."""
    count = 0
    for path in _files(state_dir):
        try:
            _copy(path, shared_dir / path.relative_to(state_dir))
        except OSError as error:
            raise StateError(
                str(shared_dir),
                f"{path} can't be copied there ({os_reason(error)})",
                "Make room, and let the account that runs synqup read and write in both folders",
            ) from None
        count += 1
    return count


def _copy(path: Path, target: Path) -> None:
    found = path.stat()
    if not (target.exists() and _is_same(path, target)):
        make_folder(target.parent, stat.S_IMODE(path.parent.stat().st_mode))
        with path.open("rb") as source:
            replace_file(target, source, stat.S_IMODE(found.st_mode))
    if target.stat().st_mtime_ns != found.st_mtime_ns:
        # How long something lies in quarantine is told by it.
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _is_same(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)


def _files(state_dir: Path) -> Iterator[Path]:
    """The files in these folders, without what a process has only for itself."""
    for name in FOLDERS:
        for folder, _, names in os.walk(state_dir / name, onerror=_refuse):
            for path in (Path(folder) / one for one in sorted(names)):
                with suppress(FileNotFoundError):
                    is_file = stat.S_ISREG(path.lstat().st_mode)
                    if is_file and path.name != LOCK and path.suffix != ".part":
                        yield path


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise StateError(
            str(error.filename),
            f"it can't be read ({os_reason(error)})",
            "Call this as the account that runs synqup",
        )
