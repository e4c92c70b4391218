"""Mounts: the volumes of this machine as its kernel lists them, read without touching any disk."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

#: Linux's list of the mounted volumes of this process (proc(5)).
MOUNTS = "/proc/self/mounts"


class Mount(Struct, frozen=True):
    """A mounted volume. kind: of its file system, as the kernel names it."""

    source: str
    point: str
    kind: str


def mounts() -> list[Mount]:
    """The mounted volumes; empty where the system has no such list."""
    found = []
    if sys.platform == "linux":
        with suppress(OSError):
            for line in Path(MOUNTS).read_bytes().splitlines():
                source, point, kind, *_ = map(_decoded, line.split(b" "))
                found.append(Mount(source, point, kind))
    return found


def mount_of(path: Path) -> Mount | None:
    """The volume that holds an absolute path without links; None where that is not known."""
    holding = [one for one in mounts() if path.is_relative_to(one.point)]
    # Of several on one point the last hides the others.
    return max(reversed(holding), key=lambda one: len(one.point), default=None)


def _decoded(text: bytes) -> str:
    """A field of the list, in which blanks and the like are written as octal numbers."""
    return os.fsdecode(text.decode("unicode_escape").encode("latin-1"))
