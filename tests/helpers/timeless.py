"""An event loop in a time of its own: where it would sleep, its clock is put forward."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class Timeless(selectors.DefaultSelector):  # type: ignore[name-defined,misc]
    """Waits for nothing."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing is to come")
        self.now += timeout
        ready: list[Any] = super().select(0)
        return ready


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time is simulated; it can stand in for the module `time`, too."""

    def __init__(self) -> None:
        self.selector = Timeless()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now

    def monotonic(self) -> float:
        return self.selector.now

    @property
    def busy(self) -> bool:
        """Whether anybody could act at once, besides the one who asks."""
        return bool(self._ready) or any(one.when() <= self.time() for one in self._scheduled)
