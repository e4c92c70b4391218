"""Durable file operations: their effects survive a power cut once the call has returned."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pipeline.held import when_released
from pipeline.long_paths import StrPath

#: Flags that Windows or Unix alone has.
BINARY = getattr(os, "O_BINARY", 0)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable. Windows has no such call: NTFS journals names itself."""
    if os.name == "nt":
        return
    _flush(folder, os.O_RDONLY | os.O_DIRECTORY)


def flush_file(path: Path) -> None:
    """Make the bytes of a file durable. Raises OSError."""
    _flush(path, os.O_RDWR | BINARY | NO_LINK)


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder and its parents, unless they exist, durably. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    try:
        flush_folder(folder.parent)
    except OSError:
        # If the folder stayed, the next call would take it for a durable one.
        with suppress(OSError):
            folder.rmdir()
        raise


def new_file(path: StrPath, mode: int) -> int:
    """Create a file that does not exist, open for writing; return its descriptor. Raises OSError.

    It follows no link, so that no one can redirect the bytes by a link under this name.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY | NO_LINK, mode)


def replace_file(
    path: Path, source: BinaryIO, mode: int = 0o600, like: os.stat_result | None = None
) -> None:
    """Replace a file, or the link under its name, by these contents, atomically. Raises OSError.

    like: a file whose mode it gets, in place of `mode`, and whose owner if this account may do so.
    """
    temporary = path.with_name(f"{path.name[:200]}.{secrets.token_hex(4)}.part")
    descriptor = new_file(temporary, mode)
    try:
        with os.fdopen(descriptor, "wb") as target:
            if like is not None:
                _liken(target.fileno(), like)
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        when_released(lambda: temporary.replace(path))
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def _liken(descriptor: int, like: os.stat_result) -> None:
    """Give an open file the mode and the owner of another one. Windows has neither."""
    if os.name == "nt":
        return
    found = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (like.st_uid, like.st_gid):
        with suppress(OSError):
            os.fchown(descriptor, like.st_uid, like.st_gid)
    # After the owner, whose change takes away the rights of a set-id bit.
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        os.close(descriptor)
