"""Rules of alerts: one message for each cause and one when it is over, in simulated time."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, strategies as st

from pipeline.alerts.memory import Memory
from tests.helpers.alerting import DAY, HOUR, MINUTE, Simulation, told


@pytest.fixture
def it() -> Simulation:
    one = Simulation()
    assert not one.run(HOUR)
    return one


def persisted(it: Simulation) -> None:
    """Let the memory go to the disk and come back."""
    it.memory = msgspec.json.decode(msgspec.json.encode(it.memory), type=Memory)


def test_a_source_that_fails_is_told_once_and_so_is_that_it_works_again(it: Simulation) -> None:
    it.sources["box"] = it.trouble("the sign-in was refused", "Check the client id and secret")
    (begun,) = it.run(2 * DAY)
    assert begun.subject == "source box can't be read"
    assert "the sign-in was refused" in begun.text
    assert "2026-09-01 10:30" in begun.text
    assert begun.remedy == "Check the client id and secret."
    it.sources["box"] = None
    (over,) = it.run(2 * DAY)
    assert over.subject == "source box can be read again"
    assert (begun.incident, begun.state, over.state) == (over.incident, "problem", "over")
    assert begun.id != over.id


def test_a_hiccup_is_silent(it: Simulation) -> None:
    for _ in range(100):
        it.sources["box"] = it.trouble("the source does not answer")
        assert not it.run(8 * MINUTE)
        it.sources["box"] = None
        assert not it.run(10 * MINUTE)


def test_a_reason_that_changes_while_it_fails_is_no_new_trouble(it: Simulation) -> None:
    it.sources["box"] = it.trouble("the source does not answer")
    assert told(it.run(HOUR)) == ["source problem"]
    it.sources["box"] = it.trouble("the source answered with a web page")
    assert not it.run(HOUR)


def test_sources_that_fail_for_one_reason_are_one_message() -> None:
    it = Simulation(sources=("box", "other", "third"))
    it.run(HOUR)
    for number, name in enumerate(it.sources):
        it.sources[name] = it.trouble(
            f"the source does not answer (api{number}.example.be:443: no route)"
        )
        it.run(MINUTE)
    (begun,) = it.run(HOUR)
    assert begun.subject == "3 sources can't be read"
    assert len(begun.details) == 3
    it.sources["box"] = None
    assert not it.run(HOUR)
    it.sources = dict.fromkeys(it.sources)
    (over,) = it.run(HOUR)
    assert over.subject == "3 sources can be read again"


def test_sources_that_fail_for_different_reasons_are_told_apart() -> None:
    it = Simulation(sources=("box", "other"))
    it.run(HOUR)
    it.sources["box"] = it.trouble("the sign-in was refused")
    it.sources["other"] = it.trouble("the source does not answer")
    assert told(it.run(HOUR)) == ["source problem", "source problem"]
    it.sources["box"] = None
    assert [one.subject for one in it.run(HOUR)] == ["source box can be read again"]


def test_a_share_that_is_gone_is_one_message_though_its_folders_fail_one_by_one() -> None:
    it = Simulation(folders=[f"/srv/company{number}" for number in range(300)])
    it.run(HOUR)
    for number in range(10):
        it.folders[f"/srv/company{number}"] = it.trouble("the folder can't be used: host is down")
        it.run(MINUTE)
    assert told(it.run(30 * MINUTE)) == []
    assert told(it.messages) == ["folder problem"]
    for number in range(10, 300):
        it.folders[f"/srv/company{number}"] = it.trouble("the folder can't be used: host is down")
        it.run(5 * MINUTE, 5 * MINUTE)
    # Of the 290 that were added within a day.
    assert len(it.messages) <= 6
    it.folders = dict.fromkeys(it.folders)
    before = len(it.messages)
    assert {one.state for one in it.run(DAY)} == {"over"}
    assert len(it.messages) == 2 * before


def test_another_folder_that_fails_later_is_told(it: Simulation) -> None:
    it.folders["/srv/a"] = it.trouble("the folder can't be used: permission denied")
    assert len(it.run(3 * HOUR)) == 1
    it.folders["/srv/b"] = it.trouble("the folder can't be used: permission denied")
    (second,) = it.run(HOUR)
    assert second.text.startswith("/srv/b")


def test_what_comes_and_goes_is_told_ever_more_rarely(it: Simulation) -> None:
    for _ in range(36):
        it.sources["box"] = it.trouble("the source does not answer")
        it.run(20 * MINUTE)
        it.sources["box"] = None
        it.run(20 * MINUTE)
    assert told(it.messages[:2]) == ["source problem", "source over"]
    assert len(it.messages) <= 12


def test_nothing_is_told_again_after_a_restart() -> None:
    it = Simulation(sources=("box", "other"))
    it.sources["box"] = it.trouble("the sign-in was refused")
    it.folders["/srv/a"] = it.trouble("the folder can't be used: host is down")
    assert len(it.run(HOUR)) == 2
    for _ in range(5):
        persisted(it)
        it.restart()
        # The source is being polled for the first time, and no document has tried the folder.
        it.sources["box"] = it.trouble("the sign-in was refused")
        assert not it.run(5 * MINUTE)
        it.folders["/srv/a"] = it.trouble("the folder can't be used: host is down")
        assert not it.run(3 * HOUR)
    it.sources = dict.fromkeys(it.sources)
    it.folders = dict.fromkeys(it.folders)
    assert sorted(told(it.run(HOUR))) == ["folder over", "source over"]


def test_what_was_mended_while_nothing_ran_is_over_once_that_is_known(it: Simulation) -> None:
    it.folders["/srv/a"] = it.trouble("the folder can't be used: host is down")
    it.sources["box"] = it.trouble("the source does not answer")
    assert len(it.run(HOUR)) == 2
    persisted(it)
    it.restart()
    assert told(it.run(HOUR)) == ["source over", "folder over"]


def test_what_the_configuration_does_not_name_any_more_is_over(it: Simulation) -> None:
    it.sources["box"] = it.trouble("the sign-in was refused")
    it.run(HOUR)
    it.sources = {"new": None}
    (over,) = it.run(HOUR)
    assert over.subject == "box is not in the configuration any more"


# The disk


def test_a_full_disk_is_one_message_whatever_it_breaks(it: Simulation) -> None:
    it.fill()
    (begun,) = it.run(DAY)
    assert (begun.cause, begun.state) == ("disk", "problem")
    assert len(begun.details) == 3
    it.empty()
    assert told(it.run(DAY)) == ["disk over"]


def test_a_folder_that_has_not_yet_found_the_room_is_no_further_trouble(it: Simulation) -> None:
    it.fill()
    it.run(HOUR)
    folders = it.folders
    it.empty()
    it.folders = folders
    assert not it.run(HOUR)
    it.folders = dict.fromkeys(folders)
    assert told(it.run(HOUR)) == ["disk over"]


def test_a_disk_that_runs_low_is_told_again_when_it_is_full(it: Simulation) -> None:
    it.free = 1_900_000_000
    assert told(it.run(DAY)) == ["disk problem"]
    it.free = 2_050_000_000
    assert not it.run(DAY)
    it.free = 1_000_000_000
    assert not it.run(DAY)
    it.fill()
    (full,) = it.run(DAY)
    assert (full.cause, full.incident) == ("disk", it.messages[0].incident)
    assert full.id != it.messages[0].id
    it.empty()
    assert told(it.run(DAY)) == ["disk over"]


def test_a_folder_that_fails_for_itself_is_told_though_the_disk_is_low(it: Simulation) -> None:
    it.free = 1_900_000_000
    it.run(HOUR)
    it.folders["/srv/a"] = it.trouble("the folder can't be used: permission denied")
    assert told(it.run(HOUR)) == ["folder problem"]


def test_a_ledger_that_can_not_be_written_is_told(it: Simulation) -> None:
    it.state = it.trouble("the ledger can't be written: read-only file system", "Mend the disk")
    it.stuck_since = it.now
    assert told(it.run(DAY)) == ["state problem"]
    it.state = it.stuck_since = None
    assert told(it.run(DAY)) == ["state over"]


# The process


def test_a_stage_that_hangs_is_told(it: Simulation) -> None:
    it.stuck_since = it.now
    (begun,) = it.run(DAY)
    assert begun.subject == "nothing moves"
    assert "15 minutes" in begun.text
    it.stuck_since = None
    assert told(it.run(DAY)) == ["stuck over"]


def test_a_kill_is_told_at_the_next_start(it: Simulation) -> None:
    killed_at = it.now
    it.restart(2 * HOUR, ended_at=killed_at)
    (begun,) = it.look()
    assert begun.subject == "synqup was ended without a stop"
    assert "2026-09-01 10:30" in begun.text
    persisted(it)
    assert told(it.run(DAY)) == ["ended over"]


def test_a_process_that_is_killed_again_and_again_is_told_once(it: Simulation) -> None:
    for _ in range(30):
        it.restart(ended_at=it.now)
        it.look()
        it.run(2 * MINUTE)
        persisted(it)
    assert told(it.messages) == ["ended problem"]
    assert told(it.run(DAY)) == ["ended over"]


def test_a_kill_is_no_end_of_what_was_wrong(it: Simulation) -> None:
    trouble = it.trouble("the sign-in was refused")
    it.sources["box"] = trouble
    it.run(HOUR)
    it.restart(ended_at=it.now)
    it.sources["box"] = trouble
    assert told(it.look()) == ["ended problem"]
    assert told(it.run(HOUR)) == ["ended over"]


# The clock


@given(st.lists(st.sampled_from(("fail", "mend", "restart", "back", "wait")), max_size=40))
def test_alerts_and_recoveries_alternate_whatever_happens(steps: list[str]) -> None:
    it = Simulation()
    for step in steps:
        match step:
            case "fail":
                it.sources["box"] = it.trouble("the source does not answer")
            case "mend":
                it.sources["box"] = None
            case "restart":
                it.restart()
            case "back":
                it.now -= 3 * HOUR
            case _:
                it.run(2 * HOUR, 10 * MINUTE)
        it.run(7 * MINUTE)
    states = [one.state for one in it.messages]
    assert states == ["problem", "over"] * (len(states) // 2) + ["problem"] * (len(states) % 2)
    assert len({one.id for one in it.messages}) == len(it.messages)
