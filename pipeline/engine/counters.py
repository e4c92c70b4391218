"""Counts what has become of the documents of one run."""

from __future__ import annotations

from msgspec import Struct

from pipeline.ledger.models import State


class Counters(Struct):
    """What has become of the documents of this run so far."""

    listed: int = 0
    delivered: int = 0
    duplicates: int = 0
    skipped: int = 0
    quarantined: int = 0
    waiting: int = 0
    bytes: int = 0

    @property
    def done(self) -> int:
        """Documents that this run has finished with, one way or another."""
        left_out = self.duplicates + self.skipped
        return self.delivered + left_out + self.quarantined + self.waiting

    def count(self, end: State, size: int) -> None:
        """Count a document of so many bytes that has come to this end."""
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
