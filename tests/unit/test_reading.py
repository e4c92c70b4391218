"""Reading of a list: in its order, some pages ahead, and together what has arrived meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, strategies as st

from pipeline.errors import RetryableError, SourceError
from pipeline.source import Entry
from stages.reading import AHEAD, TOGETHER, Reading
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio


class Pages(Farm):
    """A source whose list has pages of these sizes, and ends by an error, if there is one."""

    def __init__(self, sizes: Sequence[int], error: Exception | None = None) -> None:
        super().__init__()
        self.sizes = sizes
        self.error = error
        self.read = 0

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        number = 0
        for size in self.sizes:
            page = [
                Entry(str(one), "", f"document {one}", SimpleNamespace(hints={}))
                for one in range(number, number + size)
            ]
            number += size
            self.read += 1
            yield page
        if self.error is not None:
            raise self.error


async def taken(source: Pages, rests: Sequence[int] = ()) -> tuple[Reading, list[list[str]]]:
    """Walk over a list; the ids as they came. rests: steps that each of them takes to handle."""
    rest = iter(rests)
    found: list[list[str]] = []
    config: Any = None
    reading = Reading(source, config, lambda: None)
    with anyio.fail_after(100):
        async with anyio.create_task_group() as group, aclosing(reading.pages()) as pages:
            group.start_soon(reading.run)
            async for entries in pages:
                found.append([one.id for one in entries])
                for _ in range(next(rest, 0)):
                    await anyio.lowlevel.checkpoint()
    return reading, found


@given(st.lists(st.integers(0, 300), max_size=40), st.lists(st.integers(0, 30), max_size=40))
def test_all_of_it_comes_once_and_in_order(sizes: list[int], rests: list[int]) -> None:
    async def main() -> None:
        _, found = await taken(Pages(sizes), rests)
        assert [id_ for ids in found for id_ in ids] == [str(one) for one in range(sum(sizes))]
        assert all(len(ids) < TOGETHER + 300 for ids in found)

    anyio.run(main)


async def test_what_arrives_while_a_page_is_handled_comes_together() -> None:
    _, found = await taken(Pages([2] * 30), [50] * 30)
    assert len(found) < 30 / 3


async def test_few_pages_are_read_ahead_of_whoever_handles_them() -> None:
    source, config = Pages([1] * 100), SimpleNamespace()
    reading = Reading(source, config, lambda: None)  # type: ignore[arg-type]
    async with anyio.create_task_group() as group, aclosing(reading.pages()) as pages:
        group.start_soon(reading.run)
        await anext(pages)
        await anyio.wait_all_tasks_blocked()
        assert source.read <= AHEAD + 3
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("error", "is_fatal"),
    [(SourceError("a", "b"), False), (RetryableError("a", "b"), True)],
)
async def test_what_came_before_a_failure_is_handled(error: Exception, is_fatal: bool) -> None:
    reading, found = await taken(Pages([1, 2], error))
    assert [id_ for ids in found for id_ in ids] == ["0", "1", "2"]
    assert (reading.failure, reading.fatal) == (error, is_fatal)
