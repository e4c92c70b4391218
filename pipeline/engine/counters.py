"""Counters: how many documents of this run came to which end, in all and in each stage."""

from __future__ import annotations

from msgspec import Struct, field

from pipeline.ledger.models import State


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


class StageCounters(Struct):
    """The documents of one stage so far.

    passed: handed on to the next stage, or delivered by the last one. refetched: found damaged and
    sent back to the first stage. ended: failed for good or for now, by their ends. seconds: that
    its workers have spent on groups that are finished; waiting for a disk or a network counts.
    """

    passed: int = 0
    refetched: int = 0
    ended: dict[State, int] = field(default_factory=dict)
    seconds: float = 0.0

    def count_failed(self, end: State | None) -> None:
        """Count a document that has failed; None: it has been sent back to the first stage."""
        if end is None:
            self.refetched += 1
        else:
            self.ended[end] = self.ended.get(end, 0) + 1
