"""Forward: the files of one document get their names while other nodes may do the same.

Nothing that is visible is ever touched again, so that two that do this at once do no harm: each
rename is made by one of them, and the other misses the file. The sidecars go first, in their order.
The file that goes first decides: where it is visible, the document follows; where it is put aside,
nothing of the document becomes visible any more, and it is taken back.

tests/model proves that no interleaving loses or doubles a document or a sidecar. All functions are
for the threads of a lane.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from pipeline.long_paths import StrPath
from stages.delivery.absence import is_away
from stages.delivery.document_files import file_path
from stages.delivery.publish import Attempt, Vanished
from stages.delivery.rename import rename_in_one_step

#: What the name of a file that is put aside ends with.
ASIDE = ".aside"


class PutAside(OSError):
    """The document is being taken back: its files are put aside."""


class Kept(Enum):
    """What became of a document that was to be put aside.

    ASIDE: all of it is. BEGUN: a sidecar is visible already, so that the document has to follow.
    GONE: it is not there: it has become visible, or was removed.
    """

    ASIDE = auto()
    BEGUN = auto()
    GONE = auto()


def go_forward(
    staged: StrPath,
    sidecars: Sequence[str],
    target: StrPath,
    *,
    visible: Sequence[str] = (),
    is_own: bool = False,
) -> Attempt:
    """Give the files of a document their names, sidecars first; never over another file.

    error is Vanished where a file is not in the staging folder any more: somebody has given it its
    name, or has removed it; and PutAside where the document is being taken back. unrestored: the
    sidecars that are visible. visible: those to which an earlier attempt of this process has given
    their names. is_own: whether no other process is known to be at it, so that a sidecar that is
    missing besides is Vanished too; else it has become visible.
    """
    done = [one for one in sidecars if one in visible]
    left = [one for one in sidecars if one not in visible]
    if left and os.path.lexists(target) and os.path.lexists(file_path(staged, left[0])):
        # Found out before the sidecars have names that the document can't have.
        taken = FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        return Attempt(taken, tuple(done))
    for extension in (*left, ""):
        source = file_path(staged, extension)
        try:
            rename_in_one_step(source, file_path(target, extension))
        except FileNotFoundError as error:
            if os.path.lexists(aside(source)):
                put = PutAside(errno.ENOENT, "it is put aside", str(source))
                return Attempt(put, tuple(done))
            if _is_there(source):
                # It is the folder that is missing.
                return Attempt(error, tuple(done))
            if is_own or not extension:
                gone = Vanished(error.errno, error.strerror, str(source))
                return Attempt(gone, tuple(done))
        except OSError as error:
            return Attempt(error, tuple(done))
        done.append(extension)
    return Attempt()


def put_aside(staged: StrPath, sidecars: Sequence[str]) -> Kept:
    """Put a document aside, unless a part of it is visible. OSError; to be repeated then.

    To be begun only by the process that has staged it, and has the ledger's answer; anybody may
    go on with it.
    """
    first, *others = (*sidecars, "")
    if not _put_aside(file_path(staged, first)):
        return Kept.BEGUN if first and _is_there(staged) else Kept.GONE
    for extension in others:
        # One that is missing was removed: nothing of it was visible.
        _put_aside(file_path(staged, extension))
    return Kept.ASIDE


def remove_all(staged: StrPath, sidecars: Sequence[str]) -> None:
    """Remove the files of a document that no row names any more, aside or not. OSError."""
    for extension in ("", *sidecars):
        path = file_path(staged, extension)
        for one in (path, aside(path)):
            with suppress(FileNotFoundError):
                os.unlink(one)  # noqa: PTH108 - a path may be a text here


def aside(path: StrPath) -> str:
    """The name of a file that is put aside."""
    return f"{os.fspath(path)}{ASIDE}"


def _put_aside(path: StrPath) -> bool:
    """Put one file aside; False if it is not in the staging folder, and not aside."""
    try:
        rename_in_one_step(path, aside(path))
    except FileNotFoundError:
        return os.path.lexists(aside(path))
    except FileExistsError:
        return True
    return True


def _is_there(path: StrPath) -> bool:
    """Whether a file is in the staging folder, also where a share remembers that it is not.

    OSError where the share is away.
    """
    if os.path.lexists(path):
        return True
    folder, name = os.path.split(os.fspath(path))
    try:
        with os.scandir(Path(folder)) as found:
            return any(one.name == name for one in found)
    except FileNotFoundError as error:
        if is_away(error):
            raise
        return False
