"""The limiter against a model, in a time of its own: nobody is forgotten, and the limit holds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pipeline.errors import RetryableError
from pipeline.retry import MAX_RETRY_AFTER, RetryPolicy
from stages.sources.http import limiter
from stages.sources.http.limiter import ConcurrencyLimiter
from tests.helpers.timeless import Loop

RETRIES = RetryPolicy(first_wait=0.5, longest_wait=4, longest_asked=60)
MOST = 4


class Visitor:
    """Somebody who wants a turn, and what has become of that."""

    def __init__(self, limited: ConcurrencyLimiter, *, ending: bool) -> None:
        self.ending = ending
        self.state = "waiting"
        self.done = asyncio.Event()
        self.limiter = limited
        self.asked = MAX_RETRY_AFTER

    async def visit(self) -> None:
        try:
            await self.limiter.acquire("it", ending=self.ending)
        except RetryableError as error:
            self.state = "refused"
            self.asked = error.retry_after or 0.0
            return
        except asyncio.CancelledError:
            self.state = "gone"
            return
        self.state = "inside"
        assert self.limiter._in_flight <= max(int(self.limiter.limit), 1)
        try:
            await self.done.wait()
        finally:
            self.limiter.release()
            self.state = "left"


class Crowd:
    """Visitors come, leave, give up; the source rests and recovers; time passes."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.loop = Loop()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(limiter, "time", self.loop)
        self.limiter = ConcurrencyLimiter(MOST, RETRIES)
        self.visitors: list[tuple[Visitor, asyncio.Task[None]]] = []
        #: What the model knows: until when the source rests.
        self.rests_until = 0.0

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    def settle(self) -> None:
        """Let everybody act who can, without any time passing."""

        async def steps() -> None:
            await asyncio.sleep(0)
            while self.loop.busy:
                await asyncio.sleep(0)

        self.run(steps())

    def those(self, state: str) -> list[tuple[Visitor, asyncio.Task[None]]]:
        return [(one, task) for one, task in self.visitors if one.state == state]

    def come(self, count: int) -> None:
        async def start() -> None:
            for _ in range(count):
                one = Visitor(self.limiter, ending=self.chance.random() < 0.5)
                self.visitors.append((one, asyncio.ensure_future(one.visit())))

        self.run(start())
        self.settle()

    def leave(self, count: int) -> None:
        for one, _ in self.those("inside")[:count]:
            self.limiter.record_answer("it", 0.05)
            one.done.set()
        self.settle()

    def give_up(self, numbers: list[int], leaving: bool) -> None:
        """Some give up, perhaps in the very moment in which a turn is theirs."""
        if leaving and (inside := self.those("inside")):
            inside[0][0].done.set()
            self.run(asyncio.sleep(0))
        for number in numbers:
            if waiting := self.those("waiting"):
                waiting[number % len(waiting)][1].cancel()
        self.settle()

    def refuse(self, asked: float | None, leaving: bool, too_fast: bool) -> None:
        if inside := self.those("inside"):
            self.limiter.record_refusal(self.loop.time(), asked, too_fast=too_fast)
            rest = asked if asked is not None else RETRIES.longest_wait
            self.rests_until = max(self.rests_until, self.loop.time() + min(rest, MAX_RETRY_AFTER))
            if leaving:
                inside[0][0].done.set()
            self.settle()

    def time_out(self) -> None:
        if inside := self.those("inside"):
            self.limiter.record_timeout(self.loop.time())
            inside[0][0].done.set()
            self.settle()

    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))
        self.settle()

    def the_count_is_right(self) -> None:
        assert 1 <= self.limiter.limit <= MOST
        assert self.limiter._in_flight >= len(self.those("inside"))

    def nobody_is_forgotten(self) -> None:
        """Who waits, waits for a rest that is worth it, or for a place that is taken."""
        waiting = self.those("waiting")
        if self.limiter._paused_until - self.loop.time() > RETRIES.longest_asked:
            assert not waiting
        elif waiting and self.loop.time() >= self.rests_until:
            # Where requests keep a distance, some that have a place wait for their turn.
            turns = len(self.limiter._pauses) if self.limiter._pace.is_set else 0
            assert len(self.those("inside")) + turns >= self.limiter.limit

    def everybody_gets_out(self) -> None:
        self.run(asyncio.sleep(2 * MAX_RETRY_AFTER))
        for _ in range(len(self.visitors) + 1):
            for one, _task in self.those("inside"):
                one.done.set()
            self.settle()
        for _, task in self.visitors:
            assert task.done()
            task.result()
        assert all(RETRIES.longest_asked < one.asked <= MAX_RETRY_AFTER for one, _ in self.visitors)
        assert not self.limiter._in_flight

    def close(self) -> None:
        async def abandon() -> None:
            for _, task in self.visitors:
                task.cancel()
            await asyncio.gather(*(task for _, task in self.visitors), return_exceptions=True)

        self.run(abandon())
        self.patch.undo()
        self.loop.close()


@given(st.integers(0, 2**32))
@settings(max_examples=150)
def test_nobody_is_forgotten_and_the_limit_holds(seed: int) -> None:
    chance = Random(seed)
    crowd = Crowd(chance)
    try:
        for _ in range(40):
            match chance.choice("ccccllgrrtww"):
                case "c":
                    crowd.come(chance.randint(1, 5))
                case "l":
                    crowd.leave(chance.randint(1, 3))
                case "g":
                    numbers = [chance.randint(0, 30) for _ in range(chance.randint(1, 4))]
                    crowd.give_up(numbers, leaving=chance.random() < 0.5)
                case "r":
                    asked = chance.choice([None, 0.0, 3.0, 3.0, 59.0, 61.0, 1e12])
                    crowd.refuse(asked, chance.random() < 0.5, too_fast=chance.random() < 0.5)
                case "t":
                    crowd.time_out()
                case _:
                    crowd.wait(chance.choice([0.1, 1.0, 5.0, 30_000.0]))
            crowd.the_count_is_right()
            crowd.nobody_is_forgotten()
        crowd.everybody_gets_out()
    finally:
        crowd.close()
