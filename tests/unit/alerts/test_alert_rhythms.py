"""What alerts learn by watching: sign-ins, companies, quarantine and summaries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from pipeline.alerts.facts import Delivered, History
from pipeline.alerts.rhythms import usual_gap
from pipeline.alerts.settings import AlertSettings
from pipeline.alerts.summaries import last_due
from tests.helpers.alerting import DAY, HOUR, MINUTE, MORNING, Simulation, told

STEP = 30 * MINUTE


def history(it: Simulation, company: str, days: Sequence[int]) -> History:
    """A company that got documents so many days ago each."""
    moments = sorted(it.now - days_ago * DAY for days_ago in days)
    return History(company, moments[-1], tuple(int(one / DAY) for one in moments))


# Sign-ins


def test_the_end_of_a_sign_in_is_told_within_14_and_3_days() -> None:
    it = Simulation()
    it.sign_in_ends_at = it.now + 30 * DAY
    assert not it.run(15 * DAY, STEP)
    (fortnight,) = it.run(5 * DAY, STEP)
    assert fortnight.subject == "the sign-in of source box ends soon"
    assert "within 14 days" in fortnight.text
    assert fortnight.remedy == "Sign in again: synqup sign-in box"
    (days,) = it.run(9 * DAY, STEP)
    assert "within 3 days" in days.text
    assert days.incident == fortnight.incident
    it.sign_in_ends_at = it.now + 30 * DAY
    (over,) = it.run(DAY, STEP)
    assert over.subject == "source box is signed in again"
    assert "2026-10-30" in over.text


def test_a_sign_in_that_was_found_near_its_end_is_told_once() -> None:
    it = Simulation()
    it.sign_in_ends_at = it.now + 2 * DAY
    assert told(it.run(DAY, STEP)) == ["sign-in problem"]
    it.restart()
    assert not it.run(DAY / 2, STEP)


@pytest.mark.parametrize("life", [30 * MINUTE, HOUR, DAY, 14 * DAY])
def test_a_sign_in_that_renews_itself_is_never_told(life: float) -> None:
    it = Simulation()
    for _ in range(7 * 48):
        it.sign_in_ends_at = it.now + life
        assert not it.run(STEP)


def test_a_sign_in_whose_end_is_computed_anew_each_time_is_one() -> None:
    it = Simulation()
    ends_at = it.now + 15 * DAY
    for number in range(3 * 48):
        it.sign_in_ends_at = ends_at + number % 3 * 20
        it.run(STEP)
    assert told(it.messages) == ["sign-in problem"]


# Quarantine


def test_quarantined_documents_are_gathered_into_one_message() -> None:
    it = Simulation()
    it.run(HOUR)
    for number in range(12):
        it.quarantined += 1
        it.newly_quarantined = [(f"purchase invoice {number}", "no configured company")]
        it.run(MINUTE)
    (one,) = it.run(HOUR)
    assert one.subject == "12 documents could not be delivered"
    assert one.details[0] == "purchase invoice 0: no configured company"
    assert one.details[-1] == "and 7 more"
    assert len(one.details) == 6
    assert not it.run(DAY)
    it.restart()
    assert not it.run(DAY)
    it.quarantined = 0
    assert told(it.run(HOUR)) == ["quarantine over"]


def test_a_single_quarantined_document_is_told_in_the_singular() -> None:
    it = Simulation()
    it.quarantined = 1
    it.newly_quarantined = [("purchase invoice \x1b[31m7", "damaged\r\nBcc: all@example.be")]
    (one,) = it.run(HOUR)
    assert one.subject == "one document could not be delivered"
    assert one.details[0].isprintable()


# Companies


def test_a_company_that_usually_gets_documents_and_gets_none_is_told() -> None:
    it = Simulation()
    daily = range(15, 200)
    it.histories = (
        history(it, "BE0403170701", daily),
        history(it, "BE0428759497", [0, *daily]),
        history(it, "BE0999999922", daily),  # not configured any more
    )
    assert not it.run(20 * HOUR, STEP)
    (quiet,) = it.run(DAY, STEP)
    assert quiet.subject == "Bakkerij Peeters gets no documents"
    assert not it.run(5 * DAY, STEP)
    it.histories = (history(it, "BE0403170701", [0, *range(20, 200)]),)
    (over,) = it.run(DAY, STEP)
    assert over.subject == "Bakkerij Peeters gets documents again"


@pytest.mark.parametrize(
    "days",
    [
        pytest.param(range(30, 300, 30), id="monthly"),
        pytest.param([40, 130, 220, 310], id="quarterly"),
        pytest.param([20], id="one document ever"),
        pytest.param([20, 21, 22], id="a few once"),
        pytest.param(range(13, 100), id="not yet for long"),
    ],
)
def test_a_company_that_is_quiet_as_usual_is_not_told(days: Sequence[int]) -> None:
    it = Simulation()
    it.run(2 * DAY, STEP)
    it.histories = (history(it, "BE0403170701", days),)
    it.memory = structs.replace(it.memory, quiet_at=0.0)
    assert not it.run(HOUR)


def test_companies_are_not_quiet_while_their_source_fails_or_nothing_ran() -> None:
    it = Simulation()
    it.sources["box"] = it.trouble("the source does not answer")
    it.histories = tuple(
        history(it, company, range(20, 200)) for company in ("BE0403170701", "BE0428759497")
    )
    assert told(it.run(3 * DAY, STEP)) == ["source problem"]
    it.sources["box"] = None
    it.restart(30 * DAY)
    assert told(it.run(20 * HOUR, STEP)) == ["source over"]
    (both,) = it.run(DAY, STEP)
    assert both.subject == "2 companies get no documents"
    assert both.details[0].startswith("Bakkerij Peeters")


def test_the_usual_gap_leaves_out_the_holidays() -> None:
    assert usual_gap([1, 2, 3]) is None
    assert usual_gap([1, 2, 3, 10]) == 7
    weekly = [7 * number for number in range(30)]
    assert usual_gap([*weekly, 250, 257]) == 7


# Summaries


def test_a_healthy_week_gives_none_but_the_summaries() -> None:
    for summary, count in (("never", 0), ("weekly", 1), ("daily", 7)):
        it = Simulation()
        it.settings = AlertSettings(summary=summary)
        it.sign_in_ends_at = it.now + 300 * DAY
        it.histories = (history(it, "BE0403170701", range(100)),)
        it.delivered = (
            Delivered("BE0403170701", "purchase", 40),
            Delivered("BE0403170701", "sales", 2),
            Delivered("BE0428759497", "statement", 1_000),
        )
        for _ in range(7):
            it.run(DAY, STEP)
            it.restart()
        assert told(it.messages) == ["summary notice"] * count
        assert len({one.id for one in it.messages}) == count
        for one in it.messages:
            assert one.subject.startswith("1,042 documents since")
            assert one.text == "Everything works."
            assert "Bakkerij Peeters: 42 documents (40 purchase, 2 sales)" in one.details


def test_a_summary_says_what_is_wrong() -> None:
    it = Simulation()
    it.settings = AlertSettings(summary="daily")
    it.sources["box"] = it.trouble("the sign-in was refused")
    (_, summary) = it.run(DAY, STEP)
    assert summary.text == "Not everything works:"
    assert summary.details[0] == "source box can't be read (2026-09-01 09:30)"


def test_a_summary_that_was_missed_comes_once_when_the_machine_runs_again() -> None:
    it = Simulation()
    it.settings = AlertSettings(summary="daily")
    it.restart(10 * DAY)
    assert told(it.run(HOUR)) == ["summary notice"]


@pytest.mark.parametrize(
    ("summary", "now", "due"),
    [
        ("daily", "2026-09-01 09:30", "2026-09-01 08:00"),
        ("daily", "2026-09-01 07:59", "2026-08-31 08:00"),
        ("weekly", "2026-09-01 09:30", "2026-08-31 08:00"),
        ("weekly", "2026-08-31 07:59", "2026-08-24 08:00"),
        # The clocks go back on Sunday, 25 October, and forward on 28 March.
        ("daily", "2026-10-25 08:00", "2026-10-25 08:00"),
        ("weekly", "2026-10-26 08:00", "2026-10-26 08:00"),
        ("daily", "2027-03-28 07:59", "2027-03-27 08:00"),
    ],
)
def test_summaries_are_due_at_the_hour_of_the_machine(summary: str, now: str, due: str) -> None:
    zone = ZoneInfo("Europe/Brussels")
    at = datetime.fromisoformat(now).replace(tzinfo=zone)
    found = last_due(AlertSettings(summary=summary), at.timestamp(), zone)
    assert found is not None
    assert datetime.fromtimestamp(found, zone).strftime("%Y-%m-%d %H:%M") == due


def test_there_need_not_be_summaries() -> None:
    assert last_due(AlertSettings(summary="never"), MORNING, UTC) is None
