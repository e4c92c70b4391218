"""Progress monitor: tells an engine that is stuck from one that works, or has nothing to do.

The parts of the engine are judged by themselves. A part is stuck if it holds documents and neither
it nor any part behind it, which it may be waiting for, has shown a sign of life for a while. A poll
is stuck if it has read nothing for a while and nothing of its source is in flight.

What may take long shows signs of life: a large document arrives in pieces, a slow share answers
call by call or is given up. A ledger that its disk refuses keeps all waiting, and is no fault that
a restart would mend.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping

from msgspec import Struct

from pipeline.engine.acknowledger import NAME as ACKNOWLEDGE
from pipeline.engine.observer import Snapshot

#: Seconds without a sign of life that are always granted: a group of large documents takes minutes.
MIN_PATIENCE = 600.0
#: Seconds that count at most between two observations: in more than that the process did not run.
MAX_STEP = 60.0


class VitalSigns(Struct, frozen=True):
    """What tells whether an engine gets on, at one moment.

    signs_of_life: by stage, a number that grows while it gets on within one group of documents.
    ledger_refused: whether all waits for a disk, or another program, that refuses the ledger.
    """

    snapshot: Snapshot
    signs_of_life: Mapping[str, int] = {}
    ledger_refused: bool = False


class _Part:
    """When something has last shown a sign of life, and since when it has been silent.

    By the clock of the monitor. What has nothing to do is not silent, and shows no sign either.
    """

    def __init__(self, now: float) -> None:
        self.moved = self.since = now
        self._mark: Hashable = None

    def observe(self, now: float, mark: Hashable, *, idle: bool) -> None:
        if mark != self._mark:
            self.moved = now
        if idle or mark != self._mark:
            self.since = now
        self._mark = mark


class ProgressMonitor:
    """Judges one engine by what it observes of it again and again.

    patience: seconds without a sign of life after which a part counts as stuck. It has to be longer
    than a request to a source may take with all its retries; it may be changed at any time.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self._clock = clock
        self._observed = clock()
        #: Seconds in which the process ran, without those in which it was suspended.
        self._now = 0.0
        self._parts: dict[str, _Part] = {}
        self._polls: dict[str, _Part] = {}
        self._silence = 0.0

    @property
    def silence(self) -> float:
        """Seconds since the last progress as of the last observation; 0 if there is none to make.

        It is that of the part that has been silent for longest.
        """
        return self._silence

    def observe(self, signs: VitalSigns) -> str:
        """Take note of the engine at this moment; return what is stuck, as a sentence, or nothing.

        The sentence has no full stop.
        """
        now = self._clock()
        self._now += min(now - self._observed, MAX_STEP)
        self._observed = now
        found = [*self._observe_parts(signs), *self._observe_polls(signs)]
        self._silence, what = max(found, default=(0.0, ""))
        return what if self._silence > self.patience else ""

    def _observe_parts(self, signs: VitalSigns) -> list[tuple[float, str]]:
        """How long each part has been silent, and the sentence for that."""
        found = []
        behind = 0.0
        for name, documents, mark in reversed(_parts(signs)):
            part = self._parts.setdefault(name, _Part(self._now))
            part.observe(self._now, mark, idle=not documents or signs.ledger_refused)
            if documents:
                what = f"{name} holds {documents:,} document{'s' * (documents > 1)}"
                since = max(part.since, behind)
                found.append(self._silent(since, f"{what} and has finished none"))
            behind = max(behind, part.moved)
        return found

    def _observe_polls(self, signs: VitalSigns) -> list[tuple[float, str]]:
        found = []
        sources = signs.snapshot.sources
        for name in self._polls.keys() - sources:
            del self._polls[name]
        for name, source in sources.items():
            part = self._polls.setdefault(name, _Part(self._now))
            # A poll that has documents in flight may wait for them, and they are judged above.
            idle = not source.poll.polling or bool(source.in_flight) or signs.ledger_refused
            mark = (source.poll.pages, source.poll.began_at)
            part.observe(self._now, mark, idle=idle)
            if not idle:
                found.append(self._silent(part.since, f"the poll of source {name} gets no answer"))
        return found

    def _silent(self, since: float, what: str) -> tuple[float, str]:
        seconds = self._now - since
        return seconds, f"{what} for {seconds:,.0f} s"


def _parts(signs: VitalSigns) -> list[tuple[str, int, Hashable]]:
    """The parts of the engine in their order: a name, its documents, and what changes by work."""
    parts: list[tuple[str, int, Hashable]] = []
    for name, stage in signs.snapshot.stages.items():
        counters = stage.counters
        mark = (
            stage.queue.finished,
            counters.passed,
            counters.refetched,
            sum(counters.ended.values()),
            signs.signs_of_life.get(name, 0),
        )
        parts.append((f"stage {name}", stage.queue.documents, mark))
    acknowledgements = signs.snapshot.acknowledgements
    parts.append((ACKNOWLEDGE, acknowledgements.documents, acknowledgements.finished))
    return parts
