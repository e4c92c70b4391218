"""Deliveries are counted by company, kind, day and hour, from the ledger once and then as told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from pipeline.ledger.overview import Deliveries
from pipeline.monitor.page.tally import DAY, DAYS, HOUR, KINDS, Tally, day_start
from pipeline.records import DocumentRecord


@pytest.fixture(autouse=True, params=["Europe/Brussels", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Clock:
    def __init__(self, text: str) -> None:
        self.now = time.mktime(time.strptime(text, "%Y-%m-%d %H:%M"))

    def __call__(self) -> float:
        return self.now


def record(company: str, kind: str) -> DocumentRecord:
    return DocumentRecord(0.0, "info", "box", "1", "", company, kind, Path(), "")


def test_a_delivery_counts_for_its_company_hour_and_day() -> None:
    clock = Clock("2026-11-26 09:30")
    tally = Tally(clock)
    tally.record([record("BE1", "purchase"), record("BE1", "sales"), record("BE2", "answer")])
    assert tally.of("BE1") == (clock.now, 2, {"purchase": 1, "sales": 1})
    assert tally.of("BE2") == (clock.now, 1, {"unknown": 1})
    assert tally.of("BE3") == (None, 0, {})
    hours, now = tally.hours()
    assert (len(hours), now) == (24, 9)
    assert hours[9] == {"purchase": 1, "sales": 1, "unknown": 1}
    assert sum(map(len, hours)) == 3
    assert tally.rate() == 3
    clock.now += 61
    assert tally.rate() == 0


def test_what_was_before_is_added_and_grows_old() -> None:
    clock = Clock("2026-11-26 09:30")
    tally = Tally(clock)
    yesterday, long_ago = clock.now - DAY, clock.now - 100 * DAY
    tally.add(
        [
            Deliveries("BE1", "purchase", 0, 7, clock.now - HOUR),
            Deliveries("BE1", "purchase", 0, 5, yesterday),
            Deliveries("BE1", "sales", 0, 9, long_ago),
            Deliveries("BE2", "sales", 0, 9, long_ago),
        ]
    )
    assert tally.of("BE1") == (clock.now - HOUR, 7, {"purchase": 12})
    assert tally.of("BE2") == (long_ago, 0, {})
    assert tally.hours()[0][8] == {"purchase": 7}
    clock.now += DAY
    assert tally.of("BE1")[1:] == (0, {"purchase": 12})
    assert not any(tally.hours()[0])
    clock.now += DAYS * DAY
    assert tally.of("BE1")[1:] == (0, {})


def test_on_a_day_on_which_the_clock_is_changed_each_hour_counts_once() -> None:
    for day, hours in (("2026-10-25", 25), ("2026-03-29", 23), ("2026-06-01", 24)):
        clock = Clock(f"{day} 23:59")
        tally = Tally(clock)
        tally.record([record("BE1", "sales")])
        found, now = tally.hours()
        wanted = hours if time.tzname[0] == "CET" else 24
        assert (len(found), now) == (wanted, wanted - 1)
        assert found[now] == {"sales": 1}


@given(st.lists(st.integers(0, 3 * 86_400), max_size=30))
def test_nothing_is_counted_twice(steps: list[int]) -> None:
    clock = Clock("2026-11-26 09:30")
    tally = Tally(clock)
    for step in steps:
        clock.now += step
        tally.record([record("BE1", "sales")])
        today = sum(sum(one.values()) for one in tally.hours()[0])
        assert tally.of("BE1")[1] == today >= 1
        assert sum(tally.of("BE1")[2].values()) <= len(steps)
        assert day_start(clock.now) <= clock.now < day_start(clock.now) + 25 * HOUR
    assert set(tally.of("BE1")[2]) <= set(KINDS)
