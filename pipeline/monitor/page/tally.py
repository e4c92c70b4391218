"""Tally: how many documents each company got, kept up to date without asking the ledger again.

What was delivered before this process is read from the ledger once, when somebody first asks; from
then on the records of the engine are counted, at the cost of an addition for each document.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from pipeline.ledger.overview import Deliveries
from pipeline.records import DocumentRecord

DAY = 86_400.0
HOUR = 3600.0
#: Days of which documents are counted by company.
DAYS = 30
#: How far back the last delivery of a company is looked for.
LOOKED_BACK = 400 * DAY
#: Seconds by which the rate is measured.
RATE_WINDOW = 60
OTHER = "unknown"
#: The kinds that are told one by one; whatever else there is counts as OTHER.
KINDS = ("purchase", "sales", "statement", OTHER)


class CompanyTally(Struct):
    """Of one company: its last delivery, and its documents by day (since 1970) and kind."""

    last: float = 0.0
    days: dict[tuple[int, str], int] = {}


class Tally:
    """The documents delivered, by company, kind and time. For the event loop alone.

    Days and hours are those of the machine's zone; an hour is named by its number since 1970, so
    that those of a day on which the clock is changed are counted once each.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        #: What is counted from the records: all that was delivered after this moment.
        self.began = clock()
        self.companies: dict[str, CompanyTally] = {}
        self._hours: dict[tuple[int, str], int] = {}
        self._seconds: deque[tuple[int, int]] = deque(maxlen=2 * RATE_WINDOW)
        self._day = _day(self.began)

    def record(self, records: Sequence[DocumentRecord], /) -> None:
        """Count documents that were just delivered."""
        now = self._clock()
        self._turn(now)
        for record in records:
            self._add(record.company, _kind(record.kind), now, 1)
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + len(records))
        else:
            self._seconds.append((second, len(records)))

    def add(self, delivered: Iterable[Deliveries]) -> None:
        """Count what the ledger tells of the time before."""
        self._turn(self._clock())
        for one in delivered:
            self._add(one.company, _kind(one.kind), one.last, one.documents)

    def of(self, company: str) -> tuple[float | None, int, dict[str, int]]:
        """The last delivery of a company, its documents of today, and of the last days by kind."""
        self._turn(self._clock())
        known = self.companies.get(company)
        if known is None:
            return None, 0, {}
        counts: dict[str, int] = {}
        today = 0
        for (day, kind), documents in known.days.items():
            counts[kind] = counts.get(kind, 0) + documents
            today += documents if day == self._day else 0
        return known.last or None, today, counts

    def hours(self) -> tuple[tuple[dict[str, int], ...], int]:
        """The documents of each hour of today by kind, from midnight on, and which one it is."""
        now = self._clock()
        self._turn(now)
        first, last = int(day_start(now) // HOUR), int(now // HOUR)
        end = int(day_start(now, -1) // HOUR)
        found = (
            {kind: n for kind in KINDS if (n := self._hours.get((hour, kind), 0))}
            for hour in range(first, end)
        )
        return tuple(found), last - first

    def rate(self) -> int:
        """Documents of the last minute."""
        after = int(self._clock()) - RATE_WINDOW
        return sum(documents for second, documents in self._seconds if second > after)

    def _add(self, company: str, kind: str, at: float, documents: int) -> None:
        day = _day(at)
        known = self.companies.get(company)
        if known is None:
            known = self.companies[company] = CompanyTally(days={})
        known.last = max(known.last, at)
        if day > self._day - DAYS:
            known.days[day, kind] = known.days.get((day, kind), 0) + documents
        if day == self._day:
            hour = int(at // HOUR)
            self._hours[hour, kind] = self._hours.get((hour, kind), 0) + documents

    def _turn(self, now: float) -> None:
        """Begin another day: forget the hours of the one before, and days that are too old."""
        day = _day(now)
        if day == self._day:
            return
        self._day = day
        first = int(day_start(now) // HOUR)
        self._hours = {key: n for key, n in self._hours.items() if key[0] >= first}
        for known in self.companies.values():
            known.days = {key: n for key, n in known.days.items() if key[0] > day - DAYS}


def _kind(kind: str) -> str:
    return kind if kind in KINDS else OTHER


def _day(at: float) -> int:
    return datetime.fromtimestamp(at).toordinal()  # noqa: DTZ006 - the reader's day is the machine's


def day_start(at: float, days_before: int = 0) -> float:
    """When a day begins in the zone of this machine: so many days before, or after if negative."""
    day = datetime.fromtimestamp(at).date() - timedelta(days_before)  # noqa: DTZ006
    return datetime(day.year, day.month, day.day).timestamp()  # noqa: DTZ001
