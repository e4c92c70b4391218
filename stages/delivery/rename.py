"""Exclusive rename: gives a file its final name atomically and never overwrites another file."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline.durable import new_file
from pipeline.long_paths import StrPath

#: Of Linux's renameat2(2) and macOS's renamex_np(2): fail with EEXIST if the name is taken.
RENAME_NOREPLACE = 1
RENAME_EXCL = 4
AT_FDCWD = -100

#: Errors of file systems that have no such rename (an old NFS, some FUSE).
UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
#: The same on Windows, where EINVAL stands for whatever Python has no other number for, such as a
#: connection to a share that was lost: ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED.
UNSUPPORTED_BY_WINDOWS = {1, 50}


def rename_exclusively(source: StrPath, target: StrPath) -> None:
    """Give a file its final name. FileExistsError if that is taken, or another OSError.

    Where the file system can't do that in one step, a hard link takes the name, which never
    overwrites either, and the old name is removed after it. A crash between the two leaves both
    names, and the next call continues from there.
    """
    try:
        _rename(os.fspath(source), os.fspath(target))
    except OSError as error:
        if not _is_unsupported(error):
            raise
        _link(source, target)


def rename_in_one_step(source: StrPath, target: StrPath) -> None:
    """The same, but an OSError where the file system can't do that in one step.

    Of two who do so at once, of whatever machine, one gives the file its name, and the other is
    told that it is not there, or that it is held.
    """
    _rename_alone(os.fspath(source), os.fspath(target))


def renames_in_one_step(folder: Path) -> bool:
    """Whether rename_exclusively() is one step in the file system of a staging folder. OSError."""
    probe = _probe(folder)
    renamed = probe.with_name(f"{probe.name}-renamed")
    try:
        _rename(os.fspath(probe), os.fspath(renamed))
    except OSError as error:
        if not _is_unsupported(error):
            raise
        return False
    else:
        return True
    finally:
        for path in (probe, renamed):
            path.unlink(missing_ok=True)


def probed(folder: Path) -> os.stat_result:
    """The status of a file that this process has made in a folder. OSError."""
    probe = _probe(folder)
    try:
        return os.lstat(probe)
    finally:
        probe.unlink(missing_ok=True)


def _probe(folder: Path) -> Path:
    probe = folder / f"probe-{secrets.token_hex(8)}"
    os.close(new_file(probe, 0o600))
    return probe


def _is_unsupported(error: OSError) -> bool:
    code = getattr(error, "winerror", None)
    return error.errno in UNSUPPORTED if code is None else code in UNSUPPORTED_BY_WINDOWS


def _link(source: StrPath, target: StrPath) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        if not _is_same(source, target):
            raise
    # The final name is there: an old one that can't be removed now does no harm.
    with suppress(OSError):
        Path(source).unlink()


def _is_same(source: StrPath, target: StrPath) -> bool:
    try:
        return os.path.samestat(os.lstat(source), os.lstat(target))
    except OSError:
        return False


def _native() -> Callable[[str, str], None]:
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        renamex = library.renamex_np
        renamex.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint]
        return _checked(lambda a, b: int(renamex(a, b, RENAME_EXCL)))
    renameat2 = getattr(library, "renameat2", None)
    if renameat2 is None:
        return _unsupported
    renameat2.argtypes = [
        *(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    ]
    return _checked(lambda a, b: int(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE)))


def _checked(call: Callable[[bytes, bytes], int]) -> Callable[[str, str], None]:
    def rename(source: str, target: str) -> None:
        if call(os.fsencode(source), os.fsencode(target)):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), source, None, target)

    return rename


def _unsupported(source: str, target: str) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), source, None, target)


if sys.platform == "win32":
    from stages.delivery.rename_windows import move as _rename, move_alone as _rename_alone
else:
    _rename = _rename_alone = _native()
