"""Log pace: how often something that strangers can cause is logged."""

from __future__ import annotations

import time

#: Seconds between two lines about the same.
PAUSE = 600.0


class LogPace:
    """Counts what happens, and says when it is to be logged: at once, then at most once a PAUSE."""

    def __init__(self) -> None:
        self._logged_at: dict[str, float] = {}
        self._since: dict[str, int] = {}

    def counted(self, about: str) -> int | None:
        """Count once more; how often it was since the last line, or None: say nothing.

        about: one of few, as each is kept.
        """
        self._since[about] = self._since.get(about, 0) + 1
        now, last = time.monotonic(), self._logged_at.get(about)
        if last is not None and now - last < PAUSE:
            return None
        self._logged_at[about] = now
        return self._since.pop(about)
