"""Run marker: a file that a process leaves behind if it ends without a stop, as by a kill.

Its time says when the process was last known to run.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from pipeline.durable import make_folder


class Marker:
    """The marker of a state folder. Its methods block, and raise nothing."""

    def __init__(self, folder: Path) -> None:
        """folder: of alerts alone, in the state folder."""
        self._path = folder / "running"

    def found(self) -> float | None:
        """When an earlier process ended without a stop, in seconds since 1970; None if none has."""
        with suppress(OSError):
            return min(self._path.lstat().st_mtime, time.time())
        return None

    def touch(self) -> None:
        """Note that this process runs."""
        with suppress(OSError):
            make_folder(self._path.parent, 0o700)
            self._path.touch(0o600)

    def end(self) -> None:
        """Note that this process was stopped."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
