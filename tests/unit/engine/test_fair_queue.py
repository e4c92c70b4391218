"""A fair queue leaves each source its share, whatever another one does."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs

from pipeline.config.types import StageSettings
from pipeline.document import Document
from pipeline.engine.admission import Admission
from pipeline.engine.fair_queue import FairQueue
from pipeline.source import Source
from pipeline.stage import Bound
from tests.helpers.farm import Farm
from tests.helpers.settings import GOOD, load

pytestmark = pytest.mark.anyio

ONE, TWO = Farm(0, name="one"), Farm(0, name="two")


def admission(documents: int, retired: Collection[Source] = ()) -> Admission:
    return Admission(Bound(documents, 1000), retired)


async def put(queue: FairQueue[Document[Any]], farm: Farm, *ids: str) -> int:
    """How many of these are taken in without anything being done."""
    count = 0
    for id_ in ids:
        with anyio.move_on_after(0.02):
            await queue.put(farm.document(id_))
            count += 1
    return count


async def take(queue: FairQueue[Document[Any]], most: int = 1) -> list[Document[Any]] | None:
    """What is taken without anything being done; None if nothing is."""
    with anyio.move_on_after(0.02):
        return await queue.take(most)
    return None


async def test_a_source_gets_its_places_and_leaves_those_of_another() -> None:
    with admission(10) as queue:
        queue.share({"one": 3, "two": 2})
        assert await put(queue, ONE, *"abcdef") == 3
        # What is in hand has its place, and what was handed on has it until it leaves.
        (taken,) = await queue.take()
        assert await put(queue, ONE, "d") == 0
        queue.done([taken])
        assert await put(queue, ONE, "d") == 0
        assert await put(queue, TWO, *"abcd") == 2
        queue.leave(taken)
        queue.leave(taken)
        assert await put(queue, ONE, *"de") == 1


async def test_one_that_waits_is_let_in_when_there_is_room() -> None:
    with admission(10) as queue:
        queue.share({"one": 1})
        await queue.put(ONE.document("a"))
        async with anyio.create_task_group() as group:
            group.start_soon(queue.put, ONE.document("b"))
            await anyio.wait_all_tasks_blocked()
            assert queue.documents == 1
            queue.leave((await queue.take())[0])
            await anyio.wait_all_tasks_blocked()
            assert queue.documents == 2
            group.start_soon(queue.put, ONE.document("c"))
            await anyio.wait_all_tasks_blocked()
            queue.share({"one": 2})
            await anyio.wait_all_tasks_blocked()
            assert queue.documents == 3


async def test_what_comes_back_has_its_place_and_what_has_no_share_is_bounded_with_all() -> None:
    with admission(4) as queue:
        queue.share({"one": 1})
        await queue.put(ONE.document("a"))
        (document,) = await queue.take()
        queue.put_back(document)
        queue.done([document])
        assert await put(queue, ONE, "b") == 0
        assert await put(queue, TWO, *"abcd") == 3


async def test_no_more_consumers_than_its_share_have_something_of_a_source_in_hand() -> None:
    with FairQueue[Document[Any]](Bound(3, 1000), ()) as queue:
        assert await put(queue, ONE, *"abcdef") == 3
        # What is admitted already is not held up by a bound for all.
        queue.share({"one": 2, "two": 1})
        assert await put(queue, ONE, *"def") == 3
        first, second = await queue.take(2), await queue.take()
        assert len(first) == 2
        assert queue.waiting == 0
        assert await take(queue) is None
        assert await put(queue, TWO, "a") == 1
        assert queue.waiting == 1
        (other,) = await queue.take(9)
        assert other.source is TWO
        assert await take(queue) is None
        queue.done(second)
        assert [one.key.id for one in await queue.take(9)] == [*"def"]
        queue.done(first)


async def test_sources_take_turns_and_nothing_is_taken_together_with_another_ones() -> None:
    with FairQueue[Document[Any]](Bound(100, 1000), ()) as queue:
        await put(queue, ONE, *"abcd")
        await put(queue, TWO, *"ab")
        order = [(await queue.take(2, linger=0.001))[0].key.source for _ in range(3)]
        assert order == ["one", "two", "one"]


async def test_who_waits_for_a_share_goes_on_when_it_is_free_and_ends_when_all_is_taken() -> None:
    ended: list[str] = []

    async def consume(queue: FairQueue[Document[Any]]) -> None:
        try:
            while True:
                taken = await queue.take()
                await anyio.sleep(0.001)
                queue.done(taken)
                ended.append(taken[0].key.id)
        except anyio.EndOfStream:
            pass

    with FairQueue[Document[Any]](Bound(10, 1000), ()) as queue:
        queue.share({"one": 1})
        await put(queue, ONE, *"abcd")
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(consume, queue)
                await anyio.wait_all_tasks_blocked()
                queue.close()
    assert ended == [*"abcd"]


async def test_what_is_of_a_retired_source_takes_no_room_and_no_share() -> None:
    retired: set[Source] = set()
    with admission(2, retired) as queue:
        assert await put(queue, ONE, *"abc") == 2
        await queue.take()
        assert queue.aside == 0
        assert await put(queue, TWO, "a") == 0
        retired.add(ONE)
        assert queue.aside == 1
        assert await put(queue, TWO, *"abc") == 2
        # Another source that bears its name has its share as if there had been none before.
        queue.share({"one": 1, "two": 2})
        successor = Farm(0, name="one")
        assert await put(queue, successor, *"xy") == 1
        taken = [(await queue.take())[0].source for _ in range(4)]
        assert set(taken) == {ONE, TWO, successor}


async def test_a_source_that_has_too_much_waits_for_room_of_its_own() -> None:
    with FairQueue[Document[Any]](Bound(1, 1000), ()) as queue:
        queue.put_back(ONE.document("a"))
        with anyio.fail_after(60):
            await queue.room((TWO, ""))
        async with anyio.create_task_group() as group:
            group.start_soon(queue.room, (ONE, ""))
            await anyio.wait_all_tasks_blocked()
            assert group.cancel_scope.cancel_called is False
            with anyio.move_on_after(0.02) as scope:
                await queue.room((ONE, ""))
            assert scope.cancelled_caught
            queue.done(await queue.take())


def test_shares_are_of_the_workers_and_the_only_source_has_all(tmp_path: Path) -> None:
    one = load(tmp_path, GOOD)
    assert one.shares == {}
    small = GOOD.split("[[sources]]")[1].split("[[companies]]")[0]
    small = small.replace('"billtobox"\nkind', '"small"\nkind') + "connections = 2\n"
    two = load(tmp_path, GOOD.replace("[[companies]]", f"[[sources]]{small}[[companies]]"))
    assert two.shares == {"billtobox": 128, "small": 2}
    assert sum(two.shares.values()) <= two.downloads
    few = structs.replace(two, stages={"download": StageSettings(workers=65)})
    assert few.shares == {"billtobox": 64, "small": 1}
    many = structs.replace(two, stages={"download": StageSettings(workers=500)})
    assert many.shares == {"billtobox": 128, "small": 2}
