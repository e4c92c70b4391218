"""Durable files and folders: what is made here survives a power cut once the call has returned."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

#: Flags that Windows or Unix alone has.
BINARY = getattr(os, "O_BINARY", 0)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable. Windows has no such call: NTFS journals them itself."""
    if os.name == "nt":
        return
    _flush(folder, os.O_RDONLY | os.O_DIRECTORY)


def flush_file(path: Path) -> None:
    """Make the bytes of a file durable. OSError."""
    _flush(path, os.O_RDWR | BINARY | NO_LINK)


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder with its parents, unless it is there. OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    try:
        flush_folder(folder.parent)
    except OSError:
        # The next call would take a folder that stands there for a durable one.
        with suppress(OSError):
            folder.rmdir()
        raise


def new_file(path: Path, mode: int) -> int:
    """Make a file that was not there, and open it for writing: its descriptor. OSError.

    No link is followed that somebody may have laid at this name.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY | NO_LINK, mode)


def replace_file(path: Path, source: BinaryIO, mode: int = 0o600) -> None:
    """Give a file these contents, all or none of them; a link at its name is replaced. OSError."""
    temporary = path.with_name(f"{path.name[:200]}.{secrets.token_hex(4)}.part")
    descriptor = new_file(temporary, mode)
    try:
        with os.fdopen(descriptor, "wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        os.close(descriptor)
