"""Files that another program holds, as Windows says it and as it is there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

#: ERROR_SHARING_VIOLATION
SHARING = 32


def held(code: int = SHARING) -> OSError:
    """What Windows says of a file that another program holds."""
    error = PermissionError(13, "The process cannot access the file")
    error.winerror = code  # type: ignore[attr-defined,unused-ignore]
    return error


#: What a rename of Windows itself opens a file for, and what others may do meanwhile: everything.
RENAMING = {"access": 0x10000, "share": 7}


def hold(path: Path, access: int = 0x80000000, share: int = 0) -> Callable[[], None]:
    """Open a file without sharing it, as an antivirus does; returns how it is let go.

    access: what it is opened for, to be read. share: what others may do meanwhile.
    """
    assert sys.platform == "win32"
    import ctypes  # noqa: PLC0415 - WinDLL exists nowhere else
    from ctypes import wintypes  # noqa: PLC0415

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateFileW.restype = wintypes.HANDLE
    kernel.CreateFileW.argtypes = [
        *(wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, wintypes.LPVOID),
        *(wintypes.DWORD, wintypes.DWORD, wintypes.HANDLE),
    ]
    kernel.CloseHandle.argtypes = [wintypes.HANDLE]
    open_existing = 3
    handle = kernel.CreateFileW(str(path), access, share, None, open_existing, 0, None)
    if handle in (None, wintypes.HANDLE(-1).value):
        raise ctypes.WinError(ctypes.get_last_error())
    return lambda: kernel.CloseHandle(handle)
