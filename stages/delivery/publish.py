"""Publishing one document: its temporary files get their final names, and so become visible.

The sidecars (the PDF beside its XML) are renamed first, under the same base name: when the document
appears, they are there. Each rename takes a file out of the temporary folder. The process that
renames knows what it saw; only after a crash does the next process have to find out from the
temporary folder.

All functions are for the threads of a lane.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from pipeline.held import is_held
from pipeline.long_paths import StrPath
from stages.delivery.document_files import file_path, remove_files, sidecar_path
from stages.delivery.rename import rename_exclusively, renames_in_one_step


class Vanished(FileNotFoundError):
    """A temporary file is gone although this process did not publish it."""


class Attempt(Struct, frozen=True):
    """The result of one attempt to publish a document; error is None if it has become visible.

    unrestored: sidecars that are not in the temporary folder any more although the document is not
    visible: the rename back failed, for instance because an importer has taken them; or it was left
    to the next attempt.
    """

    error: OSError | None = None
    unrestored: tuple[str, ...] = ()

    @property
    def taken(self) -> bool:
        """Whether another file has the name, so that an alternative name may be free."""
        return isinstance(self.error, FileExistsError)

    @property
    def held(self) -> bool:
        """Whether another program holds the file, as an antivirus does for a moment."""
        return is_held(self.error)


def publish(
    staged: StrPath,
    sidecars: Sequence[str],
    target: StrPath,
    *,
    visible: Sequence[str] = (),
    last: bool = True,
) -> Attempt:
    """Give the files of a document their final names, sidecars first.

    Never overwrites a file. If the document can't have its name, its sidecars are renamed back.
    visible: those to which an earlier attempt has given their names. last: whether no attempt will
    follow; until then a file that another program holds leaves the sidecars where they are.
    """
    done = [one for one in sidecars if one in visible]
    for extension in (*(one for one in sidecars if one not in visible), ""):
        source = file_path(staged, extension)
        try:
            rename_exclusively(source, file_path(target, extension))
        except OSError as error:
            if is_held(error) and not last:
                return Attempt(error, tuple(done))
            unrestored = _restore(staged, target, done)
            if isinstance(error, FileNotFoundError) and not os.path.lexists(source):
                return Attempt(Vanished(error.errno, error.strerror, str(source)), unrestored)
            return Attempt(error, unrestored)
        done.append(extension)
    return Attempt()


def resume(staged: Path, sidecars: Sequence[str], target: Path) -> Attempt:
    """Publish a document that an earlier attempt may have published in part.

    A sidecar that is not in the temporary folder any more has become visible.
    """
    left = [one for one in sidecars if is_unpublished(sidecar_path(staged, one))]
    attempt = publish(staged, left, target)
    if attempt.error is None:
        remove_files(staged, sidecars)
    return attempt


def is_unpublished(staged: Path) -> bool:
    """Whether a temporary file of an earlier process has not become visible. OSError.

    Where a rename takes two steps, a second name of the same file proves that it is visible.
    """
    try:
        links = os.lstat(staged).st_nlink
    except FileNotFoundError:
        return False
    return links == 1 or renames_in_one_step(staged.parent)


def _restore(staged: StrPath, target: StrPath, sidecars: Sequence[str]) -> tuple[str, ...]:
    """Rename sidecars back to the temporary folder; those for which that failed."""
    failed = []
    for extension in sidecars:
        try:
            rename_exclusively(file_path(target, extension), file_path(staged, extension))
        except OSError:
            failed.append(extension)
    return tuple(failed)
