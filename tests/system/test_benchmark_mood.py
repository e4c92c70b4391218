"""How an overloaded server takes load: what it is asked of it decides, never chance."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.mood import MOODS, STEEPNESS, Mood, Overload


def test_a_server_is_as_quick_up_to_its_knee_and_gives_less_beyond() -> None:
    mood = Mood("", 0.1, 100, (1,), knees=(20,))
    assert mood.seconds(1, 0.0) == mood.seconds(20, 0.9) == 0.1
    assert mood.seconds(40, 0.5) == pytest.approx(0.1 * 2**STEEPNESS)
    rates = [count / mood.seconds(count, 0.0) for count in range(1, 200)]
    assert rates.index(max(rates)) + 1 == 20


def test_each_part_of_the_documents_has_its_knee() -> None:
    mood = Mood("", 0.1, 100, (1,), knees=(100, 10))
    assert mood.seconds(50, 0.49) == 0.1
    assert mood.seconds(50, 0.5) > 0.1
    assert mood.seconds(50, 1.0) > 0.1


def test_what_a_server_could_take_is_counted_in_documents_of_two_requests() -> None:
    assert Mood("", 0.05, 1, (1,), knees=(20,)).capacity == pytest.approx(200)
    assert Mood("", 0.05, 1, (1,), rate=50).capacity == 25
    # As long in each half: 100 documents in 0.2 s each, then 100 in 2 s each.
    assert Mood("", 0.1, 1, (1,), knees=(100, 10)).capacity == pytest.approx(2 / 0.022)


@pytest.mark.parametrize("name", MOODS)
def test_the_best_concurrency_is_among_those_that_are_tried(name: str) -> None:
    mood = MOODS[name]
    assert set(mood.knees) <= set(mood.fixed) or mood.rate
    assert mood.fixed == tuple(sorted(mood.fixed))
    if mood.rate is not None:
        # The best keeps just below the rate.
        assert mood.fixed[0] / mood.latency < mood.rate < mood.fixed[-1] / mood.latency


def test_requests_beyond_the_rate_are_refused_and_counted() -> None:
    async def ask(overload: Overload, times: int) -> list[bool]:
        return list(await asyncio.gather(*(overload.answered(0.0) for _ in range(times))))

    overload = Overload(Mood("", 0.0, 1, (1,), rate=5))
    answers = asyncio.run(ask(overload, 8))
    assert answers == [True] * 5 + [False] * 3
    seen = overload.behaviour()
    assert (seen.requests, seen.refused, seen.most) == (8, 3, 5)


def test_a_server_that_only_slows_down_refuses_nothing() -> None:
    overload = Overload(Mood("", 0.0, 1, (1,), knees=(1,)))

    async def ask() -> list[bool]:
        return list(await asyncio.gather(*(overload.answered(0.0) for _ in range(100))))

    assert all(asyncio.run(ask()))
    assert overload.behaviour().refused == 0
    assert overload.behaviour().most == 100
