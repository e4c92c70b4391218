"""A request for a list that is late is left, and what it brings is there later."""

from __future__ import annotations

import anyio
import pytest

from pipeline.behalf import company_at_work
from stages.sources.http import stragglers
from stages.sources.http.stragglers import Step, Stragglers

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stragglers, "LATE", 0.02)


async def test_what_is_late_is_left_and_taken_when_it_is_answered() -> None:
    answer, late = anyio.Event(), Stragglers[str, str]()

    async def slow() -> str:
        await answer.wait()
        return company_at_work.get()

    async def quick() -> str:
        return company_at_work.get()

    steps = [Step("one", "a", slow), Step("two", "b", quick)]
    assert await late.gather(steps, leave=False) == [None, "b"]
    assert late.keys == ["one"]
    assert late.answered() == []
    answer.set()
    await anyio.wait_all_tasks_blocked()
    assert late.answered() == [("one", "a")]
    assert late.keys == []


async def test_where_nothing_is_answered_the_source_is_waited_for() -> None:
    late, answer = Stragglers[str, str](), anyio.Event()

    async def hang() -> str:
        await answer.wait()
        return "there"

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 0.1)
        with anyio.move_on_after(0.1) as scope:
            await late.gather([Step("one", "a", hang)], leave=False)
    assert scope.cancelled_caught
    assert late.keys == []
    assert await late.gather([Step("one", "a", hang)], leave=True) == [None]
    await late.close()
    assert late.keys == []


async def test_a_list_of_all_companies_is_never_left() -> None:
    late = Stragglers[str, str]()

    async def slow() -> str:
        await anyio.sleep(0.1)
        return "there"

    assert await late.gather([Step("one", "", slow)], leave=True) == ["there"]
