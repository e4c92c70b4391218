"""File reader: reads files that a user names, safely whatever stands under the name."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from pipeline.durable import BINARY, NO_LINK
from pipeline.held import when_released

#: What stands under a name in place of a file, by the type in its mode.
_KINDS = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


def read_file(path: Path, most: int, *, follow: bool = True) -> bytes:
    """Return all of a regular file of at most `most` bytes. Raises OSError, which says why not.

    One that another program, or another node, holds for a moment is waited for. Anything else is
    refused: a pipe would keep its reader waiting for ever, a device would fill the memory. follow:
    whether the name may be a link.
    """
    check_file(path, most)
    # The file may have been replaced since by a pipe, which must not be waited for when opened.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | BINARY | (0 if follow else NO_LINK)
    with os.fdopen(when_released(lambda: os.open(path, flags)), "rb") as file:
        _check(path, os.fstat(file.fileno()), most)
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(path, most)
    return data


def check_file(path: Path, most: int) -> int:
    """Return the size of a regular file of at most `most` bytes. Raises OSError, as read_file()."""
    return _check(path, path.stat(), most)


def os_reason(error: OSError) -> str:
    """The reason of an OSError, of the system or of this module, without the path."""
    return error.strerror or str(error) or type(error).__name__


def os_remedy(error: OSError, usual: str) -> str:
    """The remedy of an OSError; usual: that of most, as an instruction without its full stop.

    To a service of systemd all folders are read-only that its unit does not allow.
    """
    if error.errno == errno.EROFS and "NOTIFY_SOCKET" in os.environ:
        return (
            "The unit of this service does not allow that folder: run `synqup service install`"
            " again, which allows all that the configuration names"
        )
    return usual


def _check(path: Path, found: os.stat_result, most: int) -> int:
    if not stat.S_ISREG(found.st_mode):
        said = _KINDS.get(stat.S_IFMT(found.st_mode), "it is something else")
        raise OSError(0, f"{said}, not a file", str(path))
    if found.st_size > most:
        raise _too_large(path, most)
    return found.st_size


def _too_large(path: Path, most: int) -> OSError:
    return OSError(0, f"it has more than {most:,} bytes", str(path))
