"""A limiter whose bound changes while requests are in flight, and that is told of a pause."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from pipeline.errors import RetryableError
from pipeline.retry import RetryPolicy
from stages.sources.http.limiter import ConcurrencyLimiter

pytestmark = pytest.mark.anyio


class Crowd:
    """Those who wait for a slot, and those who have one until they are let go."""

    def __init__(self, most: int) -> None:
        self.limiter = ConcurrencyLimiter(most, RetryPolicy(longest_asked=60))
        self.go = anyio.Event()
        self.inside = self.most_inside = self.refused = 0

    async def visit(self) -> None:
        try:
            await self.limiter.acquire("it")
        except RetryableError:
            self.refused += 1
            return
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        await self.go.wait()
        self.inside -= 1
        self.limiter.release()


async def settle() -> None:
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_more_slots_let_those_in_who_wait() -> None:
    it = Crowd(2)
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(it.visit)
        await settle()
        assert it.inside == it.limiter.in_flight == it.limiter.most == 2
        it.limiter.resize(5)
        await settle()
        assert it.inside == it.limiter.in_flight == it.limiter.most == 5
        it.go.set()


async def test_fewer_slots_are_kept_to_once_those_inside_have_left() -> None:
    it = Crowd(6)
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(it.visit)
        await settle()
        it.limiter.resize(2)
        for _ in range(6):
            group.start_soon(it.visit)
        await settle()
        assert it.inside == 6
        leaving, it.go = it.go, anyio.Event()
        leaving.set()
        await settle()
        assert it.inside == 2
        it.go.set()
        await settle()
    assert it.inside == 0


async def test_it_never_has_no_slot() -> None:
    it = Crowd(3)
    it.limiter.resize(0)
    it.go.set()
    await it.visit()
    assert it.limiter.most == 1


async def test_a_pause_is_told_and_heeded() -> None:
    it = Crowd(2)
    assert it.limiter.pause == 0
    it.limiter.rest(0.2)
    assert 0 < it.limiter.pause <= 0.2
    it.go.set()
    began = anyio.current_time()
    await it.visit()
    assert anyio.current_time() - began >= 0.15
    it.limiter.rest(3000)
    await it.visit()
    assert it.refused == 1


async def test_a_long_pause_ends_the_wait_of_those_who_wait() -> None:
    it = Crowd(1)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(it.visit)
        await settle()
        it.limiter.rest(3000)
        await settle()
        assert it.refused == 2
        it.go.set()


async def test_nobody_enters_while_it_is_not_sure_whose_the_slots_are() -> None:
    it = Crowd(2)
    is_sure = True
    it.limiter.guard(lambda: is_sure)
    async with anyio.create_task_group() as group:
        group.start_soon(it.visit)
        await settle()
        is_sure = False
        # One comes in vain, and one waits until those before it have left.
        for _ in range(2):
            group.start_soon(it.visit)
        await settle()
        assert it.inside == 1
        it.go.set()
        await settle()
        assert it.inside == 0
        is_sure = True
    assert it.inside == it.limiter.in_flight == 0


async def test_who_gives_up_while_it_is_not_sure_leaves_its_slot() -> None:
    it = Crowd(1)
    it.limiter.guard(lambda: False)
    async with anyio.create_task_group() as group:
        group.start_soon(it.visit)
        await settle()
        assert it.limiter.in_flight == 1
        group.cancel_scope.cancel()
    assert it.limiter.in_flight == 0
