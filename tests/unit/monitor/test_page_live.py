"""Updates are made once for all readers, not while nobody reads, and bounded for each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

from pipeline.monitor.page import live
from pipeline.monitor.page.live import Live, Reader, TooMany, Variant

pytestmark = pytest.mark.anyio

NL, EN = ("nl", False), ("en", True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "INTERVAL", 0.0)
    monkeypatch.setattr(live, "MAX_SHARE", 0)


class World:
    """What is told: two sections, of which one changes."""

    def __init__(self) -> None:
        self.value = 1
        self.made = self.rendered = 0
        self.live: Live[int] = Live(self._make, self._render)

    async def _make(self) -> tuple[int, float]:
        self.made += 1
        await anyio.sleep(0.001)
        return self.value, 0.0

    def _render(self, model: int, variant: Variant) -> dict[str, str]:
        self.rendered += 1
        return {"changes": f"{variant[0]} {model}", "stays": "the same"}


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    it = World()
    async with anyio.create_task_group() as group:
        group.start_soon(it.live.run)
        with anyio.fail_after(10):
            yield it
        group.cancel_scope.cancel()


async def told(reader: Reader[int]) -> Any:
    message = await reader.next()
    assert message.startswith(b"event: update\ndata: ")
    assert message.endswith(b"\n\n")
    assert message.count(b"\n") == 3
    return msgspec.json.decode(message.split(b"data: ")[1])


async def test_nothing_is_made_while_nobody_reads() -> None:
    async with world() as it:
        await anyio.sleep(0.02)
        assert it.made == 0
        reader = it.live.join(NL)
        assert await told(reader) == {"changes": "nl 1", "stays": "the same"}
        reader.leave()
        await anyio.sleep(0.02)
        made = it.made
        await anyio.sleep(0.02)
        assert it.made == made
        assert it.live.readers == 0


async def test_all_readers_of_a_language_share_what_is_made() -> None:
    async with world() as it:
        readers = [it.live.join(NL) for _ in range(10)]
        first = [await reader.next() for reader in readers]
        assert len(set(map(id, first))) == 1
        rendered = it.rendered
        await anyio.sleep(0.02)
        # What has not changed is neither made into words again, nor sent.
        assert it.rendered == rendered
        it.value = 2
        assert [await told(reader) for reader in readers] == [{"changes": "nl 2"}] * 10
        assert it.rendered == rendered + 1
        assert await told(it.live.join(EN)) == {"changes": "en 2", "stays": "the same"}


async def test_a_slow_reader_gets_the_latest_and_not_what_was_in_between() -> None:
    async with world() as it:
        slow, quick = it.live.join(NL), it.live.join(NL)
        await told(slow)
        await told(quick)
        for it.value in range(2, 6):
            assert await told(quick) == {"changes": f"nl {it.value}"}
        assert await told(slow) == {"changes": "nl 5"}
        # Nothing piles up for him.
        assert len(it.live._messages) <= 2


async def test_readers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_READERS", 2)
    async with world() as it:
        first = it.live.join(NL)
        it.live.join(EN)
        with pytest.raises(TooMany):
            it.live.join(NL)
        first.leave()
        it.live.join(EN)


async def test_a_sign_of_life_comes_where_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT", 0.01)
    async with world() as it:
        reader = it.live.join(NL)
        while (message := await reader.next()) == live.SIGN_OF_LIFE:
            pass
        assert message.startswith(b"event: update")
        assert await reader.next() == live.SIGN_OF_LIFE
        it.value = 2
        while (message := await reader.next()) == live.SIGN_OF_LIFE:
            pass
        assert b"nl 2" in message


async def test_a_fault_does_not_end_the_updates() -> None:
    async with world() as it:
        good, it.live._render = it.live._render, lambda *_: 1 / 0  # type: ignore[assignment]
        reader = it.live.join(NL)
        await anyio.sleep(0.02)
        it.live._render = good
        it.value = 2
        assert await told(reader) == {"changes": "nl 2", "stays": "the same"}


async def test_what_it_costs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_SHARE", 10**9)
    made = 0

    async def make() -> tuple[int, float]:
        nonlocal made
        made += 1
        return made, 0.001

    one: Live[int] = Live(make, lambda model, _: {"a": str(model)})
    assert [await one.current() for _ in range(5)] == [1] * 5
