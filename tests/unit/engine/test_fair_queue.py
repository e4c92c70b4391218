"""The queue of the first stage leaves each source its share, whatever another one does."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from msgspec import structs

from pipeline.config.types import StageSettings
from pipeline.engine.fair_queue import FairQueue
from pipeline.stage import Bound
from tests.helpers.farm import Farm
from tests.helpers.settings import GOOD, load

pytestmark = pytest.mark.anyio

ONE, TWO = Farm(0, name="one"), Farm(0, name="two")


async def put(queue: FairQueue, farm: Farm, *ids: str) -> int:
    """How many of these are taken in without anything being done."""
    count = 0
    for id_ in ids:
        with anyio.move_on_after(0.02):
            await queue.put(farm.document(id_))
            count += 1
    return count


async def test_a_source_gets_its_share_and_leaves_that_of_another() -> None:
    with FairQueue(Bound(10, 1000)) as queue:
        queue.share({"one": 3, "two": 2})
        assert await put(queue, ONE, *"abcdef") == 3
        # What is in hand counts.
        taken = await queue.take(3)
        assert await put(queue, ONE, "d") == 0
        assert await put(queue, TWO, *"abcd") == 2
        queue.done(taken[:1])
        assert await put(queue, ONE, *"de") == 1
        queue.done(taken[1:])
        assert await put(queue, ONE, *"ef") == 2


async def test_one_that_waits_is_let_in_when_there_is_room() -> None:
    with FairQueue(Bound(10, 1000)) as queue:
        queue.share({"one": 1})
        await queue.put(ONE.document("a"))
        async with anyio.create_task_group() as group:
            group.start_soon(queue.put, ONE.document("b"))
            await anyio.wait_all_tasks_blocked()
            assert queue.documents == 1
            queue.done(await queue.take())
            await anyio.wait_all_tasks_blocked()
            assert queue.documents == 1
            group.start_soon(queue.put, ONE.document("c"))
            await anyio.wait_all_tasks_blocked()
            queue.share({"one": 2})
            await anyio.wait_all_tasks_blocked()
            assert queue.documents == 2


async def test_what_comes_back_counts_and_what_has_no_share_is_bounded_with_all() -> None:
    with FairQueue(Bound(4, 1000)) as queue:
        queue.share({"one": 1})
        await queue.put(ONE.document("a"))
        (document,) = await queue.take()
        queue.put_back(document)
        queue.done([document])
        assert await put(queue, ONE, "b") == 0
        assert await put(queue, TWO, *"abcd") == 3


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
