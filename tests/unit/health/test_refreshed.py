"""A figure that takes time is read when it is asked for, seldom, and holds nobody up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from structlog.testing import capture_logs

from pipeline.health import refreshed
from pipeline.health.refreshed import Refreshed

pytestmark = pytest.mark.anyio


class Figure:
    def __init__(self) -> None:
        self.reads = 0
        self.gate = anyio.Event()
        self.gate.set()
        self.trouble: Exception | None = None

    async def read(self) -> int:
        self.reads += 1
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        return self.reads


@asynccontextmanager
async def running(figure: Figure) -> AsyncIterator[Refreshed[int]]:
    one = Refreshed("a figure", figure.read, 0)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        yield one
        group.cancel_scope.cancel()


async def test_it_is_read_once_for_all_who_ask_and_not_before() -> None:
    figure = Figure()
    async with running(figure) as one:
        await anyio.wait_all_tasks_blocked()
        assert figure.reads == 0
        got: list[int] = []

        async def ask() -> None:
            got.append(await one.get())

        async with anyio.create_task_group() as asking:
            for _ in range(50):
                asking.start_soon(ask)
        assert got == [1] * 50
        assert await one.get() == 1
        assert figure.reads == 1


async def test_what_is_old_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshed, "MAX_AGE", 0.0)
    monkeypatch.setattr(refreshed, "MAX_SHARE", 0)
    figure = Figure()
    async with running(figure) as one:
        assert [await one.get() for _ in range(3)] == [1, 2, 3]


async def test_one_that_hangs_holds_up_for_a_moment_and_then_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refreshed, "MAX_AGE", 0.0)
    monkeypatch.setattr(refreshed, "MAX_SHARE", 0)
    monkeypatch.setattr(refreshed, "PATIENCE", 0.05)
    figure = Figure()
    async with running(figure) as one:
        assert await one.get() == 1
        figure.gate = anyio.Event()
        with anyio.fail_after(60):
            for _ in range(1000):
                assert await one.get() == 1
        assert figure.reads == 2
        figure.gate.set()
        with anyio.fail_after(60):
            while await one.get() == 1:
                await anyio.sleep(0.001)


async def test_one_that_fails_keeps_its_value_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refreshed, "MAX_AGE", 0.0)
    monkeypatch.setattr(refreshed, "MAX_SHARE", 0)
    figure = Figure()
    async with running(figure) as one:
        assert await one.get() == 1
        figure.trouble = OSError("no such disk")
        with capture_logs() as logs:
            assert [await one.get() for _ in range(3)] == [1, 1, 1]
        assert [(line["event"], line["reason"]) for line in logs] == [
            ("a figure can't be read", "no such disk")
        ]
        figure.trouble = None
        assert await one.get() == 5


async def test_without_a_reader_the_value_stays_unknown_and_nobody_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refreshed, "PATIENCE", 0.01)
    with anyio.fail_after(60):
        assert await Refreshed("a figure", Figure().read, 7).get() == 7
