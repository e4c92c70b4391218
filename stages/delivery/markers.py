"""Markers: a file in each staging folder by which nodes tell its volume from any other.

A mount point without its volume is an empty folder, and another disk may be mounted there. Where a
file is missing there, that says nothing; and what is written there, nobody finds.
"""

from __future__ import annotations

import errno
import os
import secrets
import uuid
from contextlib import suppress
from pathlib import Path

from pipeline.durable import BINARY, NO_LINK, flush_folder, new_file
from stages.delivery.rename import rename_exclusively

#: The name of the marker in a staging folder. It holds a UUID (RFC 9562) and a line feed.
MARKER = ".synqup-volume"
#: Bytes of a marker that are read.
MAX_SIZE = 64


class WrongVolume(OSError):
    """A folder on which nothing may be decided and nothing written; remedy: what to do."""

    def __init__(self, reason: str, place: Path, remedy: str) -> None:
        super().__init__(errno.ENODEV, reason, str(place))
        self.remedy = remedy


def check_marker(place: Path, expected: str) -> None:
    """Raise WrongVolume unless a staging folder bears this marker; OSError if it can't be read."""
    try:
        found = read_marker(place)
    except (FileNotFoundError, NotADirectoryError):
        raise WrongVolume(
            f"its volume is not there (no file {MARKER} in {place})",
            place,
            f"Mount the volume. If this is the right one, put the line {expected} into that file",
        ) from None
    if found != expected:
        raise WrongVolume(
            f"another volume is there (the file {MARKER} in {place} says"
            f" {found or 'nothing'!r}, not {expected!r})",
            place,
            "Mount the volume that the other nodes have there. If this is the right one, put the"
            f" line {expected} into that file",
        )


def read_marker(place: Path) -> str:
    """What the marker of a staging folder says. OSError."""
    descriptor = os.open(place / MARKER, os.O_RDONLY | BINARY | NO_LINK)
    try:
        return os.read(descriptor, MAX_SIZE).decode("utf-8", "replace").strip()
    finally:
        os.close(descriptor)


def marker_of(place: Path) -> str:
    """What the marker of a staging folder says; it is made, durably, if there is none. OSError."""
    with suppress(FileNotFoundError):
        return read_marker(place)
    made = str(uuid.uuid4())
    part = place / f"{MARKER}.{secrets.token_hex(8)}"
    descriptor = new_file(part, 0o600)
    try:
        try:
            os.write(descriptor, f"{made}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        rename_exclusively(part, place / MARKER)
    except FileExistsError:
        # Another node was faster.
        return read_marker(place)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    flush_folder(place)
    return made
