"""Windows rename: gives a file its name by the calls of Windows, which knows files by handles.

A rename there opens the file by its name, and then renames what was opened, wherever that is by
then. Of two who do so at once both can succeed: the later one, which may have stood still between
the two steps, takes the file from where it was visible, or from where an importer has put it. One
who lets nobody else open the file for a rename meanwhile is alone with it.
"""

from __future__ import annotations

import errno
import sys

if sys.platform != "win32":
    raise ImportError("these are calls of Windows")

import ctypes
from ctypes import wintypes

from stages.delivery.absence import is_away

#: Of MoveFileEx: return only once the file has its name on the disk. No folder can be flushed.
MOVEFILE_WRITE_THROUGH = 8
#: Rights to a file; what others may do meanwhile, which is not to rename or delete it; to open
#: what is there, a link itself, and write its name through.
DELETE, SYNCHRONIZE = 0x10000, 0x100000
SHARE_READ, SHARE_WRITE = 1, 2
OPEN_EXISTING, OPEN_LINK, WRITE_THROUGH = 3, 0x200000, 0x80000000
#: What SetFileInformationByHandle is to set.
RENAME = 3

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.MoveFileExW.argtypes = [wintypes.LPCWSTR, wintypes.LPCWSTR, wintypes.DWORD]
_kernel.CreateFileW.restype = wintypes.HANDLE
_kernel.CreateFileW.argtypes = [
    *(wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, wintypes.LPVOID),
    *(wintypes.DWORD, wintypes.DWORD, wintypes.HANDLE),
]
_kernel.SetFileInformationByHandle.argtypes = [
    *(wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD)
]
_kernel.CloseHandle.argtypes = [wintypes.HANDLE]
_NONE = wintypes.HANDLE(-1).value


def move(source: str, target: str) -> None:
    """Give a file its name, unless that is taken. OSError."""
    # Without MOVEFILE_REPLACE_EXISTING it fails if the name is taken.
    if not _kernel.MoveFileExW(source, target, MOVEFILE_WRITE_THROUGH):
        raise error_of(ctypes.get_last_error(), source, target)


def move_alone(source: str, target: str) -> None:
    """The same, while nobody else does it. OSError; another one who is at it holds the file."""
    handle = _kernel.CreateFileW(
        source,
        DELETE | SYNCHRONIZE,
        SHARE_READ | SHARE_WRITE,
        None,
        OPEN_EXISTING,
        OPEN_LINK | WRITE_THROUGH,
        None,
    )
    if handle in (None, _NONE):
        raise error_of(ctypes.get_last_error(), source, target)
    try:
        wanted = _renaming(target)
        if not _kernel.SetFileInformationByHandle(
            handle, RENAME, ctypes.byref(wanted), ctypes.sizeof(wanted)
        ):
            raise error_of(ctypes.get_last_error(), source, target)
    finally:
        _kernel.CloseHandle(handle)


def error_of(code: int, source: str, target: str) -> OSError:
    """The error of a code of Windows."""
    error = OSError(None, ctypes.FormatError(code).strip(), source, code, target)
    return OSError(errno.EIO, error.strerror, source) if is_away(error) else error


def _renaming(target: str) -> ctypes.Structure:
    """A FILE_RENAME_INFO for a name, which may not be taken."""
    size = len(target.encode("utf-16-le"))

    class Renaming(ctypes.Structure):
        _fields_ = (
            ("replace", wintypes.DWORD),
            ("root", wintypes.HANDLE),
            ("size", wintypes.DWORD),
            ("name", ctypes.c_wchar * (size // 2 + 1)),
        )

    return Renaming(0, None, size, target)
