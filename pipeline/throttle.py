"""Contract of a throttle: what bounds the requests of a source, and holds them while it rests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Throttle(Protocol):
    """Bounds the requests of one source that are in flight. For the event loop alone."""

    @property
    def most(self) -> int:
        """Requests that may be in flight, at most."""

    @property
    def in_flight(self) -> int:
        """Requests that are in flight, or about to be."""

    @property
    def pause(self) -> float:
        """Seconds for which the source wants to be left alone still; 0 for none."""

    def resize(self, most: int) -> None:
        """Have so many in flight, at most, from now on; those that are go on. At least one."""

    def guard(self, is_sure: Callable[[], bool]) -> None:
        """Send nothing while a function says that what it may have in flight may be another's."""

    def rest(self, seconds: float) -> None:
        """Leave the source alone for so long, at least."""
