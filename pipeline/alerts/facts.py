"""Ledger facts: what the rules of alerts need to know of documents, read beside the service."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from pipeline.ledger.connection import Connection
from pipeline.ledger.orders import AGAIN
from pipeline.ledger.place import LedgerPlace, reading

DAY = 86_400.0
#: How far back the usual rhythm of a company is looked for.
HISTORY = 400 * DAY
#: Quarantined documents that a message names.
FEW = 5
#: Seconds after which a row of the ledger is sure to be committed.
COMMITTED = 5.0
#: The same where several nodes write it, whose clocks may differ.
COMMITTED_BY_ALL = 180.0


class Needs(Struct, frozen=True):
    """What is to be read. quarantined_after, delivered_after: None if not at all."""

    quarantined_after: float | None = None
    histories: bool = False
    delivered_after: float | None = None

    def __bool__(self) -> bool:
        return self != Needs()


class Quarantined(Struct, frozen=True):
    """Documents quarantined up to a moment. few: the label and the reason of the first of them."""

    until: float
    count: int = 0
    few: tuple[tuple[str, str], ...] = ()


class History(Struct, frozen=True):
    """When a company got documents. last: the latest. days: since 1970, each once, in order."""

    company: str
    last: float
    days: tuple[int, ...]


class Delivered(Struct, frozen=True):
    """How many documents of one kind a company got."""

    company: str
    kind: str
    documents: int


class Facts(Struct, frozen=True):
    """What was read; None where it was not asked for, or could not be read."""

    quarantined: Quarantined | None = None
    histories: tuple[History, ...] | None = None
    delivered: tuple[Delivered, ...] | None = None


def read_facts(place: LedgerPlace, needs: Needs, now: float) -> Facts:
    """Read what is needed from the ledger at a place. It blocks, and raises StateError."""
    with reading(place) as connection:
        after, since = needs.quarantined_after, needs.delivered_after
        until = now - (COMMITTED if isinstance(place, Path) else COMMITTED_BY_ALL)
        return Facts(
            _quarantined(connection, after, until) if after is not None else None,
            _histories(connection, now) if needs.histories else None,
            _delivered(connection, since, now) if since is not None else None,
        )


def _quarantined(connection: Connection, after: float, until: float) -> Quarantined:
    until = max(after, until)
    # The first condition is what makes SQLite use the index documents_kept.
    found = (
        "FROM documents WHERE state IN ('quarantined', 'waiting') AND state = 'quarantined'"
        " AND changed_at > ? AND changed_at <= ?"
    )
    count = connection.execute(f"SELECT count(*) {found}", (after, until)).fetchone()[0]
    rows = connection.execute(
        f"SELECT label, reason {found} ORDER BY changed_at LIMIT {FEW}", (after, until)
    )
    return Quarantined(until, count, tuple((label, reason) for label, reason in rows))


def _histories(connection: Connection, now: float) -> tuple[History, ...]:
    day = connection.dialect.floor("delivered_at / 86400")
    rows = connection.execute(
        f"SELECT company, {day}, max(delivered_at) FROM documents"  # noqa: S608 - from above
        " WHERE state = 'delivered' AND company != '' AND delivered_at > ? AND delivered_at <= ?"
        " AND source != ? GROUP BY 1, 2 ORDER BY 1, 2",
        (now - HISTORY, now, AGAIN),
    )
    days: dict[str, list[int]] = {}
    last: dict[str, float] = {}
    for company, day, latest in rows:
        days.setdefault(company, []).append(day)
        last[company] = latest
    return tuple(History(company, last[company], tuple(days[company])) for company in days)


def _delivered(connection: Connection, after: float, now: float) -> tuple[Delivered, ...]:
    rows = connection.execute(
        "SELECT company, kind, count(*) FROM documents WHERE state = 'delivered'"
        " AND delivered_at > ? AND delivered_at <= ? GROUP BY 1, 2 ORDER BY 1, 2",
        (after, now),
    )
    return tuple(Delivered(*row) for row in rows)
