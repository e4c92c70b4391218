"""Renames a file without ever overwriting another one, in one step of the file system."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

#: Of Linux's renameat2(2) and macOS's renamex_np(2): fail with EEXIST if the name is taken.
RENAME_NOREPLACE = 1
RENAME_EXCL = 4
AT_FDCWD = -100

#: What a file system answers that can't rename so (an old NFS, some FUSE).
UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}


def rename_exclusively(source: Path, target: Path) -> None:
    """Give a file its final name. FileExistsError if that is taken; any other OSError as it is.

    Where the file system can't do it in one step, a hard link takes the name, which never
    overwrites either, and the old name is removed after it.
    """
    try:
        _rename(os.fspath(source), os.fspath(target))
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        os.link(source, target)
        source.unlink()


def _native() -> Callable[[str, str], None]:
    if sys.platform == "win32":
        return os.rename  # which refuses a name that is taken
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


_rename = _native()
