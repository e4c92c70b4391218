"""Reads files that somebody names, whatever stands under the name."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pipeline.durable import BINARY, NO_LINK

#: What stands under a name in place of a file, by the type in its mode.
_KINDS = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


def read_file(path: Path, most: int, *, follow: bool = True) -> bytes:
    """All of a regular file of at most so many bytes. OSError, which says what is wrong.

    A pipe would keep its reader waiting for ever, a device would fill the memory. follow: whether
    the name may be a link.
    """
    check_file(path, most)
    # Another thing may have taken its place since: to open one that nobody writes to must not wait.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | BINARY | (0 if follow else NO_LINK)
    with os.fdopen(os.open(path, flags), "rb") as file:
        _check(path, os.fstat(file.fileno()), most)
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(path, most)
    return data


def check_file(path: Path, most: int) -> int:
    """The size of a regular file of at most so many bytes. OSError, which says what is wrong."""
    return _check(path, path.stat(), most)


def os_reason(error: OSError) -> str:
    """What the system, or one of these, says is wrong."""
    return error.strerror or str(error) or type(error).__name__


def _check(path: Path, found: os.stat_result, most: int) -> int:
    if not stat.S_ISREG(found.st_mode):
        said = _KINDS.get(stat.S_IFMT(found.st_mode), "it is something else")
        raise OSError(0, f"{said}, not a file", str(path))
    if found.st_size > most:
        raise _too_large(path, most)
    return found.st_size


def _too_large(path: Path, most: int) -> OSError:
    return OSError(0, f"it has more than {most:,} bytes", str(path))
