"""The monitor tells what is stuck from what works, waits, or has nothing to do."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.engine.breaker import BreakerState
from pipeline.engine.counters import Counters, StageCounters
from pipeline.engine.observer import (
    PollSnapshot,
    QueueSnapshot,
    Snapshot,
    SourceSnapshot,
    StageSnapshot,
)
from pipeline.health.progress import MAX_STEP, ProgressMonitor, VitalSigns

NAMES = ("download", "classify", "write")
PATIENCE = 600.0
STEP = 10.0


class World:
    """An engine as the monitor sees it, and its time."""

    def __init__(self) -> None:
        self.time = 0.0
        self.monitor = ProgressMonitor(PATIENCE, lambda: self.time)
        self.held = dict.fromkeys((*NAMES, "acknowledge"), 0)
        self.finished = dict.fromkeys((*NAMES, "acknowledge"), 0)
        self.life = dict.fromkeys(NAMES, 0)
        self.sources: dict[str, SourceSnapshot] = {}
        self.refused = False

    def queue(self, name: str) -> QueueSnapshot:
        return QueueSnapshot(self.held[name], 0, 64, 10**6, self.finished[name])

    def source(self, name: str, in_flight: int = 0, **poll: Any) -> None:
        shown = PollSnapshot(began_at=1.0, **{"polling": True, **poll})
        self.sources[name] = SourceSnapshot(in_flight, BreakerState.CLOSED, "", shown, Counters())

    def observe(self) -> str:
        stages = {one: StageSnapshot(1, self.queue(one), StageCounters()) for one in NAMES}
        shown = Snapshot(
            self.time, self.time, Counters(), stages, self.queue("acknowledge"), self.sources
        )
        return self.monitor.observe(VitalSigns(shown, self.life, self.refused))

    def passes(self, seconds: float, each: Any = lambda: None) -> str:
        said = self.observe()
        for _ in range(int(seconds / STEP)):
            self.time += STEP
            each()
            said = self.observe()
        return said


@pytest.fixture
def world() -> World:
    return World()


def test_an_engine_without_anything_to_do_is_not_stuck(world: World) -> None:
    assert world.passes(10 * PATIENCE) == ""
    assert world.monitor.silence == 0


@pytest.mark.parametrize("name", ["download", "classify", "write", "acknowledge"])
def test_a_part_that_holds_documents_and_finishes_none_is_stuck(world: World, name: str) -> None:
    world.passes(10 * PATIENCE)
    world.held[name] = 3
    assert world.passes(PATIENCE - STEP) == ""
    said = world.passes(2 * STEP)
    assert f"{name} holds 3 documents and has finished none for 6" in said
    world.finished[name] += 1
    assert world.observe() == ""


def test_new_documents_in_front_of_what_is_stuck_are_no_sign_of_life(world: World) -> None:
    world.held["classify"] = 1

    def arrive() -> None:
        world.held["classify"] += 1
        world.finished["download"] += 1
        world.life["download"] += 1

    assert "stage classify holds" in world.passes(2 * PATIENCE, arrive)


def test_what_waits_for_a_later_part_that_works_is_not_stuck(world: World) -> None:
    world.held.update(download=64, classify=64, write=64)
    assert world.passes(3 * PATIENCE, lambda: world.finished.update(write=world.time)) == ""


@pytest.mark.parametrize("name", ["download", "write"])
def test_a_large_document_that_goes_on_arriving_is_progress(world: World, name: str) -> None:
    world.held[name] = 1

    def piece() -> None:
        world.life[name] += 1

    assert world.passes(100 * PATIENCE, piece) == ""
    assert f"stage {name} holds 1 document and" in world.passes(2 * PATIENCE)


def test_a_ledger_that_its_disk_refuses_is_not_mended_by_a_restart(world: World) -> None:
    world.held.update(write=9, acknowledge=2)
    world.source("one")
    world.refused = True
    assert world.passes(100 * PATIENCE) == ""
    world.refused = False
    assert world.passes(PATIENCE - STEP) == ""


def test_a_poll_that_gets_no_answer_is_stuck_and_its_pages_are_progress(world: World) -> None:
    world.source("good", polling=False)
    pages = iter(range(10**6))
    assert world.passes(5 * PATIENCE, lambda: world.source("one", pages=next(pages))) == ""
    assert "the poll of source one gets no answer" in world.passes(2 * PATIENCE)
    world.source("one", polling=False)
    assert world.observe() == ""


def test_traffic_of_another_source_does_not_hide_a_poll_that_is_stuck(world: World) -> None:
    world.source("one")

    def traffic() -> None:
        for name in NAMES:
            world.life[name] += 1
            world.finished[name] += 1

    assert "source one" in world.passes(2 * PATIENCE, traffic)


def test_a_poll_that_waits_for_its_documents_is_not_judged_by_itself(world: World) -> None:
    world.held["download"] = 1
    world.source("one", in_flight=1)
    assert world.passes(2 * PATIENCE, lambda: world.life.update(download=world.time)) == ""


def test_seconds_in_which_the_process_was_suspended_do_not_count(world: World) -> None:
    world.held["classify"] = 1
    world.observe()
    world.time += 100 * PATIENCE
    assert world.observe() == ""
    assert world.monitor.silence == MAX_STEP


def test_a_longer_patience_applies_at_once(world: World) -> None:
    world.held["classify"] = 1
    assert world.passes(2 * PATIENCE) != ""
    world.monitor.patience = 3 * PATIENCE
    assert world.observe() == ""
