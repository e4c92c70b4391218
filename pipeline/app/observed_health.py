"""Observed health: as much of a running service's health as its engine tells.

Folders and disks are not in it, nor what waits by the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline.app.wiring import Application, Config
from pipeline.engine.observer import PollSnapshot
from pipeline.health.model import Health, SourceHealth, Trouble


class ObservedHealth:
    """Tells the health of one running service. For the event loop alone."""

    def __init__(self, application: Application, config: Callable[[], Config]) -> None:
        """config: gives the configuration in force."""
        self._application = application
        self._config = config
        self._started_at = time.time()
        #: The sources that fail, and since when.
        self._failing: dict[str, float] = {}

    async def current(self) -> Health:
        """The health now."""
        snapshot = self._application.engine.observer.snapshot()
        polls = {name: one.poll for name, one in snapshot.sources.items()}
        names = [source.name for source in self._config().sources]
        return Health(
            at=snapshot.at,
            started_at=self._started_at,
            progress_at=snapshot.at,
            sources=tuple(self._source(name, polls.get(name, PollSnapshot())) for name in names),
            destinations=(),
            quarantined=snapshot.counters.quarantined,
            waiting=snapshot.counters.waiting,
            unacknowledged=0,
            ledger_bytes=0,
        )

    def _source(self, name: str, poll: PollSnapshot) -> SourceHealth:
        if not poll.error:
            self._failing.pop(name, None)
            return SourceHealth(name, poll.succeeded_at)
        since = self._failing.setdefault(name, poll.ended_at or time.time())
        return SourceHealth(name, poll.succeeded_at, Trouble(since, poll.error))
