"""Held files: patience with a file that another program holds, as antivirus does on Windows.

Whoever opens a file there without sharing it keeps everybody else from renaming, replacing or
removing it. A scanner or an indexer does so for some milliseconds after a file was written.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")

#: ERROR_ACCESS_DENIED (also of a file that is being removed), ERROR_SHARING_VIOLATION,
#: ERROR_LOCK_VIOLATION.
HELD = {5, 32, 33}
#: Seconds before each further try; two seconds in all.
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.48)


def is_held(error: BaseException | None) -> bool:
    """Whether an error says that another program holds the file; never so but on Windows."""
    return getattr(error, "winerror", None) in HELD


def when_released(call: Callable[[], R], sleep: Callable[[float], object] = time.sleep) -> R:
    """Call something, and again while another program holds its file. Raises its last OSError."""
    for pause in PAUSES:
        try:
            return call()
        except OSError as error:
            if not is_held(error) and not _may_be_held(error):
                raise
        sleep(pause)
    return call()


def _may_be_held(error: OSError) -> bool:
    """Of what os.open() can't open on Windows it does not tell whether it is held or forbidden."""
    is_unclear = getattr(error, "winerror", None) is None
    return sys.platform == "win32" and is_unclear and isinstance(error, PermissionError)
