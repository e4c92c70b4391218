r"""Long paths: how Windows is given a path of more than 259 characters.

Without the prefix \\?\ its calls refuse such a path, unless an administrator has allowed it for the
whole machine (Microsoft, "Maximum Path Length Limitation"). Elsewhere there is no such limit.
"""

from __future__ import annotations

import ntpath
import os
import sys
from pathlib import Path

#: Characters of a file's path that every program of Windows can open.
MAX_PATH = 259
#: A folder's path may have fewer: room is left in it for a name of 8 and 3 characters.
MAX_FOLDER = 247

#: A path as functions take it for which making a Path would take longer than what they do.
StrPath = str | os.PathLike[str]

_PREFIX = "\\\\?\\"


def extended(path: str) -> str:
    r"""An absolute path of Windows as its calls take it at any length.

    One that is long gets the prefix \\?\, or \\?\UNC\ if it is of a share.
    """
    if len(path) <= MAX_FOLDER or path.startswith((_PREFIX, "\\\\.\\")):
        return path
    # The prefix also turns off what Windows does to a path otherwise: slashes, dots.
    path = ntpath.normpath(path)
    if path.startswith("\\\\"):
        return f"{_PREFIX}UNC{path[1:]}"
    return f"{_PREFIX}{path}" if ntpath.isabs(path) else path


if sys.platform == "win32":
    from pathlib import WindowsPath

    class _LongPath(WindowsPath):
        """A path that the system can open at any length. As text it looks like any other."""

        __slots__ = ()

        def __fspath__(self) -> str:
            return extended(str(self))

    def local_path(path: StrPath) -> Path:
        """A path that the system can open at any length, and so are those made of it."""
        return _LongPath(path)

    def local_name(path: str) -> str:
        """The same as text, for one call of the system."""
        return extended(path)
else:

    def local_path(path: StrPath) -> Path:
        """A path that the system can open at any length, and so are those made of it."""
        return Path(path)

    def local_name(path: str) -> str:
        """The same as text, for one call of the system."""
        return path
