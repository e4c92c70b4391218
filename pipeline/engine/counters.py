"""Counters: how many documents of this run came to which end, in all, by source and by stage."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

from msgspec import Struct, field

from pipeline.ledger.models import State

#: Upper bounds, in seconds, of the histogram of what a group takes in a stage.
BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class Counters(Struct):
    """The documents of this run so far, by their ends; bytes: of those that were delivered."""

    listed: int = 0
    delivered: int = 0
    duplicates: int = 0
    skipped: int = 0
    quarantined: int = 0
    waiting: int = 0
    bytes: int = 0

    @property
    def done(self) -> int:
        """Documents that have come to an end, whichever it is."""
        left_out = self.duplicates + self.skipped
        return self.delivered + left_out + self.quarantined + self.waiting

    @property
    def ends(self) -> dict[State, int]:
        """How many documents have come to each end."""
        return {
            State.DELIVERED: self.delivered,
            State.DUPLICATE: self.duplicates,
            State.SKIPPED: self.skipped,
            State.QUARANTINED: self.quarantined,
            State.WAITING: self.waiting,
        }

    def count(self, end: State, size: int) -> None:
        """Count a document of `size` bytes that has come to this end."""
        match end:
            case State.DELIVERED:
                self.delivered += 1
                self.bytes += size
            case State.DUPLICATE:
                self.duplicates += 1
            case State.SKIPPED:
                self.skipped += 1
            case State.QUARANTINED:
                self.quarantined += 1
            case State.WAITING:
                self.waiting += 1


class RunCounters:
    """The counters of one run: in all, and of each source by its name."""

    def __init__(self) -> None:
        self.total = Counters()
        self.sources: defaultdict[str, Counters] = defaultdict(Counters)

    def count_listed(self, source: str) -> None:
        """Count a document that has been submitted."""
        self.total.listed += 1
        self.sources[source].listed += 1

    def count(self, source: str, end: State, size: int) -> None:
        """Count a document of `size` bytes that has come to this end."""
        self.total.count(end, size)
        self.sources[source].count(end, size)


class StageCounters(Struct):
    """The documents of one stage so far.

    passed: handed on to the next stage, or delivered by the last one. refetched: found damaged and
    sent back to the first stage. ended: failed for good or for now, by their ends. seconds: that
    its workers have spent on groups that are finished; waiting for a disk or a network counts.
    groups: how many of these groups took at most the seconds in BUCKETS, each counted in the first
    that fits; the last number is of those that took longer.
    """

    passed: int = 0
    refetched: int = 0
    ended: dict[State, int] = field(default_factory=dict)
    seconds: float = 0.0
    groups: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def count_group(self, seconds: float) -> None:
        """Count a group that took so many seconds."""
        self.seconds += seconds
        self.groups[bisect_left(BUCKETS, seconds)] += 1

    def count_failed(self, end: State | None) -> None:
        """Count a document that has failed; None: it has been sent back to the first stage."""
        if end is None:
            self.refetched += 1
        else:
            self.ended[end] = self.ended.get(end, 0) + 1
