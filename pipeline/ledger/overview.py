"""Ledger overview: what the page tells of documents, read beside a program that may be writing.

What waits or lies in the quarantine is read by its index. Deliveries are read once, by a walk
through the table, and counted in memory from then on (pipeline/monitor/page/tally.py).
"""

from __future__ import annotations

from msgspec import Struct

from pipeline.document import Key
from pipeline.ledger.counts import kept
from pipeline.ledger.models import State
from pipeline.ledger.place import LedgerPlace, reading

#: Undelivered documents of each state that are read; the others are only counted.
MAX_UNDELIVERED = 2000
#: Characters of a reason that are read.
MAX_REASON = 1000


class UndeliveredDocument(Struct, frozen=True):
    """A document that is quarantined or waiting. at: when that was recorded."""

    key: Key
    label: str
    state: State
    company: str
    kind: str
    reason: str
    at: float


class UndeliveredDocuments(Struct, frozen=True):
    """Those of a ledger: the latest MAX_UNDELIVERED of each state, and how many there are."""

    documents: tuple[UndeliveredDocument, ...] = ()
    quarantined: int = 0
    waiting: int = 0


class Deliveries(Struct, frozen=True):
    """How many documents of one kind a company got in one bucket of time. last: when the latest.

    bucket: which one, counted from the moment that was asked for.
    """

    company: str
    kind: str
    bucket: int
    documents: int
    last: float


def read_undelivered(place: LedgerPlace) -> UndeliveredDocuments:
    """Read what waits and what is in the quarantine. It blocks, and raises StateError."""
    with reading(place) as connection:
        indexed = connection.dialect.indexed("documents_kept")
        counts = dict(connection.execute(kept(connection.dialect)).fetchall())
        found = []
        for state in (State.QUARANTINED, State.WAITING):
            rows = connection.execute(
                "SELECT source, id, revision, label, company, kind, substr(reason, 1, ?),"  # noqa: S608 - an index
                f" changed_at FROM documents{indexed}"
                " WHERE state IN ('quarantined', 'waiting') AND state = ?"
                " ORDER BY changed_at DESC LIMIT ?",
                (MAX_REASON, state.value, MAX_UNDELIVERED),
            )
            for source, id_, revision, label, company, kind, reason, at in rows:
                key = Key(source, id_, revision)
                found.append(UndeliveredDocument(key, label, state, company, kind, reason, at))
    return UndeliveredDocuments(
        tuple(found),
        counts.get(State.QUARANTINED.value, 0),
        counts.get(State.WAITING.value, 0),
    )


def read_deliveries(
    place: LedgerPlace, since: float, until: float, zero: float, bucket: float
) -> tuple[Deliveries, ...]:
    """Read what was delivered after `since` and up to `until`, by company, kind and bucket.

    bucket: seconds of one; the bucket 0 begins at `zero`. It blocks, and raises StateError.
    """
    with reading(place) as connection:
        number = connection.dialect.floor("(delivered_at - ?1) / ?2")
        rows = connection.execute(
            f"SELECT company, kind, {number}, count(*), max(delivered_at) FROM documents"  # noqa: S608 - as above
            " WHERE state = 'delivered' AND delivered_at > ?3 AND delivered_at <= ?4"
            " GROUP BY 1, 2, 3",
            (zero, bucket, since, until),
        )
        return tuple(Deliveries(*row) for row in rows)
