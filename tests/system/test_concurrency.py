"""How many requests a real server on loopback gets at once, by what it can do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from aiohttp import web

from pipeline.source import Entry, Outcome
from stages.sources.billtobox.source import BilltoboxSource
from stages.sources.http.congestion import START
from tests.helpers.platform import Platform, configure, opened, platform

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

CONNECTIONS = 128


class Busy:
    """What a platform can do, and what it was asked.

    latency: seconds of work on each request. workers: requests that it works on at once; the others
    wait. rate: requests a second above which it refuses. most: requests that it had at once.
    """

    def __init__(self, one: Platform, latency: float, workers: int, rate: int | None) -> None:
        self.workers = anyio.CapacityLimiter(workers)
        self.latency = latency
        self.rate = rate
        self.asked = self.refused = self.inside = self.most = 0
        self._accepted: deque[float] = deque()
        self._handle = one.handle
        one.answer = self.answer

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            return await self._handle(request)
        self.asked += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            if self._is_too_fast():
                self.refused += 1
                return web.Response(status=429)
            async with self.workers:
                await anyio.sleep(self.latency)
            return await self._handle(request)
        finally:
            self.inside -= 1

    def _is_too_fast(self) -> bool:
        now = time.monotonic()
        while self._accepted and self._accepted[0] <= now - 1:
            self._accepted.popleft()
        if self.rate is not None and len(self._accepted) >= self.rate:
            return True
        self._accepted.append(now)
        return False


@asynccontextmanager
async def busy(
    folder: Path, latency: float = 0.05, workers: int = 1000, rate: int | None = None
) -> AsyncIterator[tuple[Busy, BilltoboxSource]]:
    async with platform() as one:
        server = Busy(one, latency, workers, rate)
        config = configure(folder, one, attempts=50, connections=CONNECTIONS, retry_wait=0.2)
        async with opened(config) as source:
            yield server, source


async def bring(source: BilltoboxSource, count: int) -> None:
    """Fetch and acknowledge so many documents, as many at once as there may be."""
    numbers = iter(range(count))

    async def fetch(entry: Entry) -> None:
        async with source.fetch(entry) as incoming:
            assert [chunk async for chunk in incoming.chunks] == [b"bytes"]

    async def work() -> None:
        for number in numbers:
            entry = Entry(f"purchase/{number}", "", "it", None)
            await source.retries.run(partial(fetch, entry))
            await source.retries.run(partial(source.acknowledge, [Outcome(entry.id, True)]))

    async with anyio.create_task_group() as group:
        for _ in range(2 * CONNECTIONS):
            group.start_soon(work)


async def bring_until(source: BilltoboxSource, condition: Callable[[], bool]) -> None:
    """Bring documents for as long as it takes."""
    with anyio.fail_after(60):
        while not condition():
            await bring(source, 100)


async def test_a_server_that_slows_down_beyond_twenty_gets_hardly_more(tmp_path: Path) -> None:
    async with busy(tmp_path, workers=20) as (server, source):
        await bring(source, 300)
        server.most = 0
        await bring(source, 500)
        assert START < server.most < 64
        assert server.refused == 0


async def test_a_server_that_slows_down_beyond_two_hundred_gets_all(tmp_path: Path) -> None:
    async with busy(tmp_path, latency=0.4, workers=200) as (server, source):
        await bring(source, 1000)
        assert 80 < server.most <= CONNECTIONS


async def test_a_server_that_allows_fifty_a_second_refuses_few(tmp_path: Path) -> None:
    async with busy(tmp_path, latency=0.001, rate=50) as (server, source):
        await bring(source, 150)
        assert server.refused < 0.1 * server.asked


async def test_a_server_that_changes_its_mind_gets_what_it_can_do_then(tmp_path: Path) -> None:
    async with busy(tmp_path, latency=0.25, workers=12) as (server, source):
        await bring(source, 80)
        assert server.most < 40
        server.workers.total_tokens = 1000
        await bring_until(source, lambda: source._limiter.limit > 50)
        server.workers.total_tokens = 12
        await bring_until(source, lambda: source._limiter.limit < 40)
        server.rate = 20
        await bring(source, 40)
        server.asked = server.refused = 0
        await bring(source, 60)
        assert server.refused < 0.06 * server.asked
