"""Shared tally: the tally of a page whose documents are delivered by several nodes.

It counts no records, which are those of one node, but what the ledger says: once what is a while
ago, and again and again what is not, as nodes may still record it, whose clocks may differ a bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from pipeline.ledger.overview import Deliveries
from pipeline.monitor.page.tally import Tally
from pipeline.records import DocumentRecord

#: Seconds after which nothing more is recorded as delivered at a moment.
LATE = 180.0
#: Seconds of one bucket of what was delivered of late, of which the last minute is told.
MINUTE = 60.0


class SharedTally(Tally):
    """The documents delivered by all nodes. For the event loop alone.

    settled: up to when all is counted once and for all.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(lambda: clock() - LATE)
        #: What was delivered before that is read as any tally has it read.
        self.settled = self.began
        self._clock = clock
        self._recent = Tally(clock)
        self._rate = 0

    def record(self, records: Sequence[DocumentRecord], /) -> None:
        """Nothing: the ledger tells it."""

    def count(
        self, settled: Iterable[Deliveries], until: float, recent: Iterable[Deliveries]
    ) -> None:
        """Count what was delivered up to `until`, and what was since then, in place of that before.

        The buckets of the latter are minutes, of which that of number 0 is the last one.
        """
        self.add(settled)
        self.settled = until
        found = tuple(recent)
        self._recent = Tally(self._clock)
        self._recent.add(found)
        self._rate = sum(one.documents for one in found if one.bucket >= 0)

    def of(self, company: str) -> tuple[float | None, int, dict[str, int]]:
        """See Tally."""
        last, today, counts = super().of(company)
        latest, more, others = self._recent.of(company)
        for kind, documents in others.items():
            counts[kind] = counts.get(kind, 0) + documents
        return max(last or 0.0, latest or 0.0) or None, today + more, counts

    def hours(self) -> tuple[tuple[dict[str, int], ...], int]:
        """See Tally."""
        found, now = super().hours()
        recent, _ = self._recent.hours()
        return tuple(
            {kind: one.get(kind, 0) + two.get(kind, 0) for kind in {**one, **two}}
            for one, two in zip(found, recent, strict=False)
        ), now

    def rate(self) -> int:
        """See Tally."""
        return self._rate
