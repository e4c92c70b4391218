"""A queue bounds documents and bytes, loses nothing, and ends when its owner closes it."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from msgspec import Struct

from pipeline.engine.queue import Queue
from pipeline.stage import Bound

pytestmark = pytest.mark.anyio


class Parcel(Struct, frozen=True):
    held: int


async def fill(queue: Queue[Parcel], parcel: Parcel) -> int:
    """Put until the queue makes us wait; how many went in."""
    fitted = 0

    async def put() -> None:
        nonlocal fitted
        while True:
            await queue.put(parcel)
            fitted += 1

    async with anyio.create_task_group() as group:
        group.start_soon(put)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    return fitted


async def test_the_bound_on_documents_makes_putters_wait() -> None:
    with Queue[Parcel](Bound(3, 1000)) as queue:
        assert await fill(queue, Parcel(1)) == 3


async def test_the_bound_on_bytes_makes_putters_wait() -> None:
    with Queue[Parcel](Bound(100, 1000)) as queue:
        assert await fill(queue, Parcel(400)) == 2


async def test_a_document_larger_than_the_bound_passes_alone() -> None:
    with Queue[Parcel](Bound(100, 1000)) as queue:
        assert await fill(queue, Parcel(5000)) == 1


async def test_what_is_in_hand_counts_until_it_is_handed_on() -> None:
    with Queue[Parcel](Bound(1, 1000)) as queue:
        await queue.put(Parcel(1))
        taken = await queue.take()
        assert await fill(queue, Parcel(1)) == 0
        queue.done(taken)
        assert await fill(queue, Parcel(1)) == 1


async def test_a_larger_bound_frees_a_waiting_putter() -> None:
    with Queue[Parcel](Bound(1, 1000)) as queue:
        await queue.put(Parcel(1))
        async with anyio.create_task_group() as group:
            group.start_soon(queue.put, Parcel(1))
            await anyio.wait_all_tasks_blocked()
            assert queue.waiting == 1
            queue.resize(Bound(2, 1000))
        assert queue.waiting == 2


async def test_a_taker_gets_what_is_there_up_to_its_group() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue:
        for held in range(5):
            await queue.put(Parcel(held))
        assert [parcel.held for parcel in await queue.take(3)] == [0, 1, 2]
        assert [parcel.held for parcel in await queue.take(3)] == [3, 4]


async def test_a_taker_that_lingers_gets_what_comes_meanwhile() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue:
        await queue.put(Parcel(0))
        await queue.take(3, linger=0.5)  # the first one, which ends a pause
        await queue.put(Parcel(1))
        taken: list[Parcel] = []

        async def take() -> None:
            taken.extend(await queue.take(3, linger=0.5))

        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            await queue.put(Parcel(2))
        assert [parcel.held for parcel in taken] == [1, 2]


async def test_what_comes_after_a_pause_is_taken_at_once_and_the_next_lingers() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue, anyio.fail_after(60):
        await queue.put(Parcel(1))
        first = await queue.take(3, linger=3600)
        assert [parcel.held for parcel in first] == [1]
        await queue.put(Parcel(2))
        with anyio.move_on_after(0.05) as lingering:
            await queue.take(3, linger=3600)
        assert lingering.cancelled_caught


async def test_after_less_than_a_pause_a_taker_lingers_although_nothing_is_in_hand() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue, anyio.fail_after(60):
        await queue.put(Parcel(1))
        queue.done(await queue.take(3, linger=0.001))
        await queue.put(Parcel(2))
        with anyio.move_on_after(0.05) as lingering:
            await queue.take(3, linger=3600)
        assert lingering.cancelled_caught


async def test_a_taker_whose_group_is_full_does_not_linger() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue, anyio.fail_after(60):
        for held in range(3):
            await queue.put(Parcel(held))
        assert len(await queue.take(3, linger=3600)) == 3


async def test_closing_lets_takers_empty_the_queue_and_then_ends_them() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue:
        await queue.put(Parcel(1))
        queue.close()
        assert len(await queue.take()) == 1
        with pytest.raises(anyio.EndOfStream):
            await queue.take()


async def test_closing_ends_takers_that_wait() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue, anyio.fail_after(60):
        ended = 0

        async def take() -> None:
            nonlocal ended
            with pytest.raises(anyio.EndOfStream):
                await queue.take()
            ended += 1

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            queue.close()
        assert ended == 3


async def test_nothing_is_put_into_a_closed_queue_and_leaving_it_drops_the_rest() -> None:
    queue = Queue[Parcel](Bound(10, 1000))
    with queue:
        await queue.put(Parcel(1))
        queue.close()
        with pytest.raises(anyio.ClosedResourceError):
            await queue.put(Parcel(1))
    assert not queue.waiting
    with pytest.raises(anyio.EndOfStream):
        await queue.take()


async def test_each_item_wakes_one_taker() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue, anyio.fail_after(60):
        taken: list[int] = []

        async def take() -> None:
            taken.extend(parcel.held for parcel in await queue.take())

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            for held in range(3):
                await queue.put(Parcel(held))
        assert taken == [0, 1, 2]


async def test_what_a_cancelled_taker_was_woken_for_goes_to_another() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue, anyio.fail_after(60):
        taken: list[int] = []

        async def take() -> None:
            taken.extend(parcel.held for parcel in await queue.take())

        first, second = asyncio.create_task(take()), asyncio.create_task(take())
        await anyio.wait_all_tasks_blocked()
        await queue.put(Parcel(7))
        first.cancel()
        await second
        assert first.cancelled()
        assert taken == [7]


async def test_a_taker_that_was_cancelled_while_it_waited_is_not_woken() -> None:
    with Queue[Parcel](Bound(10, 1000)) as queue, anyio.fail_after(60):
        with anyio.move_on_after(0.01):
            await queue.take()
        await queue.put(Parcel(1))
        assert len(await queue.take()) == 1
