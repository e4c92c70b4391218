"""Shared folder trial: whether a folder that several nodes share can do what they rely on."""

from __future__ import annotations

import secrets
import shutil
import stat
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from pipeline.durable import replace_file
from pipeline.files import os_reason, os_remedy
from pipeline.folder_lock import folder_lock

#: Free bytes that the disk of the folder must have at least.
MIN_FREE = 500_000_000


def problem_of(folder: Path) -> str:
    """Why nodes can't share a folder, and the remedy, as the end of a sentence; or nothing.

    A folder of a random name is made in it, tried, and removed again.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        return f"{what}; mount it, or make it once, for all nodes"
    trial = folder / f".try-{secrets.token_hex(8)}"
    try:
        trial.mkdir(0o700)
        return _tried(trial) or _room(folder)
    except OSError as error:
        remedy = os_remedy(error, "let the service's account write there")
        return f"can't be written to ({os_reason(error)}); {remedy[0].lower()}{remedy[1:]}"
    finally:
        with suppress(OSError):
            shutil.rmtree(trial)


def _tried(trial: Path) -> str:
    file, moved = trial / "one", trial / "other"
    replace_file(file, BytesIO(b"before"))
    replace_file(moved, BytesIO(b"after"))
    moved.replace(file)
    if file.read_bytes() != b"after" or moved.exists():
        return "does not rename a file at once; use another share"
    if sys.platform != "win32" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        return (
            "does not keep who may read a file, and sign-ins lie there; mount it so that its files"
            " are readable for the service's account alone (SMB: file_mode=0600,dir_mode=0700)"
        )
    return _locks(trial)


def _locks(trial: Path) -> str:
    remedy = "mount it with locks that all machines see (NFS 4 without nolock, SMB without nobrl)"
    try:
        with folder_lock(trial, 5.0), suppress(TimeoutError), folder_lock(trial, 0.0):
            return f"gives one lock to two at once; {remedy}"
    except OSError as error:
        return f"can't be locked ({os_reason(error)}); {remedy}"
    return ""


def _room(folder: Path) -> str:
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE:
        return f"lies on a disk with only {free // 1_000_000} MB free; make room"
    return ""
