"""Progress meter: when a running engine last moved, so that one that is stuck can be told.

It moves while anything is counted, or a source with documents in flight answers: a large document
on a slow line is no standstill. What has nothing in flight has nothing to do. The event loop itself
is stuck where nobody is told the time at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from pipeline.engine.counters import StageCounters
from pipeline.engine.observer import Snapshot
from pipeline.source import Source


class Progress:
    """Compares each snapshot with the one before. For one caller, or several on one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._mark: object = None
        self._moved_at = clock()

    def standstill(self, snapshot: Snapshot, sources: Mapping[str, Source | None]) -> float:
        """Seconds for which the engine has not moved, as far as calls before this one can tell.

        sources: those that are open, by their names.
        """
        busy = {name: one.in_flight for name, one in snapshot.sources.items() if one.in_flight}
        mark = (
            snapshot.counters,
            [(one.passed, one.refetched, one.ended) for one in _counters(snapshot)],
            busy,
            [source.active_at for name in busy if (source := sources.get(name))],
        )
        now = self._clock()
        if not busy or mark != self._mark:
            self._mark, self._moved_at = mark, now
        return now - self._moved_at


def _counters(snapshot: Snapshot) -> Iterator[StageCounters]:
    return (stage.counters for stage in snapshot.stages.values())
