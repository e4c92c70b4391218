"""What the scenarios work out from runs: shares of a bound, the best of several, tenths."""

from __future__ import annotations

import pytest

from benchmarks.measure import Figure, Run
from benchmarks.mood import MOODS, Behaviour
from benchmarks.scenarios import adaptive, far
from benchmarks.scenarios.large import PARTS, Sample, parts_of
from tests.helpers.benchmarking import run_of


def contender(family: str, connections: int, requests: int) -> far.Contender:
    def run() -> Run:
        raise NotImplementedError

    return far.Contender("a", family, connections, requests, run)


def test_a_share_is_of_what_latency_and_processor_allow() -> None:
    runs = [run_of(1), run_of(2)]
    found = far.outcome(contender(far.OURS, 16, 2), runs, near=[500.0, 50.0], busy=[0.1, 0.2])
    assert found.bound == Figure(105.0, 50.0, 160.0)
    # 100 of the 160 that 16 connections allow, then 50 of the 50 of a slow hour.
    assert found.share == Figure(0.8125, 0.625, 1.0)
    assert found.is_met is False
    assert found.cpu == Figure(15_000, 10_000, 20_000)


def test_only_ours_has_a_target_and_a_bound_by_the_processor() -> None:
    found = far.outcome(contender("rclone", 16, 1), [run_of(1)], near=[1.0], busy=[0.1])
    assert found.bound == Figure(320.0, 320.0, 320.0)
    assert found.is_met is None


def test_a_target_is_met_by_the_median() -> None:
    runs = [run_of(1), run_of(1), run_of(9)]
    found = far.outcome(contender(far.OURS, 16, 2), runs, near=[100.0] * 3, busy=[0.1] * 3)
    assert found.is_met is True


def test_ours_is_beside_the_best_fixed_concurrency() -> None:
    def attempt(seconds: float, refused: int = 0) -> adaptive.Attempt:
        return adaptive.Attempt(run_of(seconds), Behaviour(10, refused, 5, []))

    found = adaptive.Outcome(
        next(iter(MOODS.values())),
        [attempt(2, refused=4)],
        {10: [attempt(4)], 20: [attempt(1)], 40: [attempt(3)]},
    )
    assert found.best == 20
    assert found.share == Figure(0.5, 0.5, 0.5)
    assert found.ours[0].refused == 0.4


def test_tenths_are_measured_between_the_looks() -> None:
    samples = [Sample(at, at * 50, at / 2, 100 + at % 4, at * 50 * 900) for at in range(1, 21)]
    parts = parts_of(samples, 1_000)
    assert [part.documents for part in parts] == list(range(100, 1_001, 100))
    assert [part.each for part in parts] == pytest.approx([20_000] * PARTS)
    assert [part.cpu for part in parts] == pytest.approx([10_000] * PARTS)
    assert {part.ledger for part in parts} == {900}
    assert parts[0].memory == 102
    assert parts[1].memory == 103


def test_tenths_that_no_look_tells_apart_are_one() -> None:
    samples = [Sample(1, 0, 0, 1, 0), Sample(2, 55, 1, 1, 1), Sample(3, 100, 2, 1, 1)]
    parts = parts_of(samples, 100)
    assert PARTS == 10
    assert [part.documents for part in parts] == [55, 100]
