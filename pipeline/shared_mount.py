"""Shared mount: tells the folder that nodes share from the bare folder on which it is mounted."""

from __future__ import annotations

import errno
from pathlib import Path

#: The file in it that says which folder it is (pipeline/cluster/shared_marker.py).
MARKER = ".synqup-shared"


def ensure_mounted(folder: Path) -> None:
    """Raise OSError if the folder that the nodes share is not seen at this path at this moment."""
    if not (folder / MARKER).is_file():
        raise FileNotFoundError(
            errno.ENOENT, "the folder that the nodes share is not mounted there", str(folder)
        )
