"""What the limiter finds out about servers of all sorts, in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from stages.sources.http.congestion import START, ConcurrencyLimit, Cubic, Pace
from tests.helpers.crowded import Crowd, Server

Make = Callable[..., Crowd]


@pytest.fixture
def crowd() -> Iterator[Make]:
    """Makes crowds, and ends them."""
    made: list[Crowd] = []

    def make(server: Server, connections: int = 256) -> Crowd:
        made.append(Crowd(server, connections))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("latency", [0.02, 0.05, 0.3])
@pytest.mark.parametrize("connections", [1, 5, 16, 48, 128, 256])
def test_a_server_that_keeps_up_soon_gets_as_many_as_there_are(
    crowd: Make, latency: float, connections: int
) -> None:
    it = crowd(Server(latency), connections)
    it.run(20 * latency)
    assert it.limiter.limit == connections
    done, refused = it.run(20 * latency)
    assert refused == 0
    assert done >= 0.95 * 20 * connections
    assert it.most == connections


def test_it_begins_with_few(crowd: Make) -> None:
    it = crowd(Server(0.05))
    it.run(0.049)
    assert it.most == START


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_answers_that_vary_are_not_taken_for_slow_ones(crowd: Make, noise: float) -> None:
    it = crowd(Server(0.05, noise=noise), 128)
    it.run(10)
    assert it.limiter.limit > 100


@pytest.mark.parametrize("times", [0.1, 4])
def test_kinds_that_take_differently_long_are_no_slowness(crowd: Make, times: float) -> None:
    it = crowd(Server(0.05, acknowledging=times), 128)
    it.run(8)
    assert it.limiter.limit == 128


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("workers", [20, 200])
def test_a_server_gets_hardly_more_than_it_works_on_at_once(
    crowd: Make, workers: int, noise: float
) -> None:
    server = Server(0.05, workers=workers, noise=noise)
    it = crowd(server, 4 * workers)
    it.run(5)
    for _ in range(8):
        it.run(1)
        assert it.limiter.limit <= 2 * workers
    # All of its workers are busy all the same.
    done, _ = it.run(5)
    assert done >= 0.95 * 5 * workers / server.mean()


@pytest.mark.parametrize("workers", [1, 4])
def test_a_slow_server_gets_no_more_than_to_begin_with(crowd: Make, workers: int) -> None:
    it = crowd(Server(0.05, workers=workers))
    it.run(60)
    assert it.limiter.limit <= 2 * START


@pytest.mark.parametrize("asks", [None, 1.0])
@pytest.mark.parametrize("latency", [0.001, 0.05])
@pytest.mark.parametrize("rate", [10, 50, 200])
def test_a_server_that_allows_so_many_a_second_gets_nearly_so_many_and_refuses_few(
    crowd: Make, rate: int, latency: float, asks: float | None
) -> None:
    it = crowd(Server(latency, rate=rate, asks=asks), 128)
    done, refused = it.run(20)
    assert refused <= 0.05 * done + 10
    done, refused = it.run(60)
    assert refused <= 0.01 * done
    assert done >= 0.85 * rate * 60


@pytest.mark.parametrize("asks", [None, 1.0])
@pytest.mark.parametrize("at_once", [4, 20, 60])
def test_a_server_that_refuses_more_at_once_is_asked_for_more_rarely(
    crowd: Make, at_once: int, asks: float | None
) -> None:
    it = crowd(Server(0.05, at_once=at_once, asks=asks))
    it.run(20)
    done, refused = it.run(60)
    assert refused <= 0.02 * done
    assert done >= 0.4 * 60 * at_once / 0.05


def test_a_server_that_can_do_more_than_before_is_given_more(crowd: Make) -> None:
    server = Server(0.05, workers=20)
    it = crowd(server)
    it.run(10)
    assert it.limiter.limit <= 40
    server.workers = 200
    it.run(5)
    assert it.limiter.limit >= 180
    server.workers = 20
    it.run(10)
    assert it.limiter.limit <= 40


def test_a_server_that_becomes_slower_for_good_gets_as_many_again(crowd: Make) -> None:
    server = Server(0.05)
    it = crowd(server)
    it.run(5)
    server.latency = 0.3
    it.run(5)
    assert it.limiter.limit < 64
    it.run(20)
    assert it.limiter.limit == 256
    server.latency = 0.05
    it.run(5)
    assert it.limiter.limit == 256


def test_a_server_that_allows_another_rate_gets_that(crowd: Make) -> None:
    server = Server(0.01, rate=50)
    it = crowd(server, 128)
    it.run(20)
    server.rate = 20
    it.run(10)
    done, refused = it.run(60)
    assert 0.8 * 20 * 60 <= done <= 20 * 61
    assert refused <= 0.01 * done
    server.rate = None
    it.run(100)
    done, refused = it.run(20)
    assert done > 100 * 20
    assert refused == 0


def test_after_an_outage_it_is_soon_as_fast_as_before(crowd: Make) -> None:
    server = Server(0.05)
    it = crowd(server)
    it.run(5)
    server.refusing = 1.0
    it.run(10)
    server.refusing = 0.0
    it.run(20)
    assert it.limiter.limit == 256


def test_refusals_by_chance_do_not_bring_all_to_a_stand(crowd: Make) -> None:
    server = Server(0.05)
    server.refusing = 0.05
    it = crowd(server, 128)
    done, _ = it.run(120)
    assert done > 5 * 120


def test_one_that_is_not_used_does_not_grow() -> None:
    limit = ConcurrencyLimit(256)
    for number in range(1000):
        limit.answered("fetch", 0.05, number * 0.1, in_flight=3)
    assert limit.limit == START


def test_one_slow_answer_among_many_is_none() -> None:
    limit = ConcurrencyLimit(64)
    now = 1000.0
    for number in range(5000):
        now += 0.05 / limit.limit
        seconds = 30.0 if number % 50 == 49 else 0.05
        limit.answered("fetch", seconds, now, in_flight=limit.limit)
    assert limit.limit == 64


@given(st.integers(1, 300), st.integers(0, 2**32))
@settings(max_examples=200)
def test_whatever_comes_the_limit_stays_within_its_bounds(most: int, seed: int) -> None:
    chance = Random(seed)
    limit, pace = ConcurrencyLimit(most), Pace()
    now, turn = 1000.0, 0.0
    for _ in range(500):
        now += chance.expovariate(chance.choice([0.01, 1, 1000]))
        seconds = chance.lognormvariate(-3, 2)
        match chance.choice("aaaaaaart"):
            case "a":
                limit.answered(chance.choice("xyz"), seconds, now, chance.randint(1, most))
                pace.answered(now - seconds)
            case "r":
                before = limit.limit
                if limit.refused(now - seconds, now):
                    assert limit.limit <= max(before / 2 + 1, 1)
                pace.refused(now - seconds, now)
            case _:
                limit.refused(now - seconds, now)
        assert 1 <= limit.limit <= most
        reserved = pace.reserve(now)
        assert turn <= reserved if pace.is_set else reserved == now
        assert reserved <= now + 1000
        turn = reserved


def test_requests_from_before_a_refusal_do_not_count_once_more() -> None:
    limit = ConcurrencyLimit(256)
    assert limit.refused(1.0, 2.0)
    assert not limit.refused(1.5, 2.1)
    assert limit.limit == START // 2
    assert limit.refused(2.2, 2.3)
    assert limit.limit == START // 4


def test_the_way_back_is_a_cubic_with_a_plateau() -> None:
    back = Cubic(100, 50, since=10.0, seconds=10.0)
    assert [back.at(10 + 5 * step) for step in range(7)] == [
        50,
        93.75,
        100,
        106.25,
        150,
        268.75,
        500,
    ]


@given(st.lists(st.one_of(st.integers(1, 64), st.none()), max_size=40), st.integers(1, 64))
def test_another_bound_holds_at_once(changes: list[int | None], most: int) -> None:
    limit = ConcurrencyLimit(most)
    now = 100.0
    for change in changes:
        now += 1.0
        if change is None:
            limit.refused(now, now)
        else:
            most = change
            limit.resize(most)
        assert 1 <= limit.limit <= most
    limit = ConcurrencyLimit(4)
    limit.resize(64)
    assert limit.limit == START
