"""A simulated server with a limit of some kind, and a crowd that asks it through the limiter.

All of it happens in simulated time: minutes take a moment, and nothing depends on the machine.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from random import Random

import pytest

from pipeline.retry import RetryPolicy
from stages.sources.http import limiter as limiter_module
from stages.sources.http.limiter import ConcurrencyLimiter
from tests.helpers.timeless import Loop

RETRIES = RetryPolicy(first_wait=0.5, longest_wait=20, longest_asked=120)


class Server:
    """Answers after `latency` seconds, unless one of its limits is met.

    workers: requests that it works on at once; the others wait in order. at_once: requests at once
    above which it refuses. rate: requests a second above which it refuses. asks: its Retry-After.
    noise: of the latency, as the sigma of a log-normal distribution. acknowledging: how many times
    as long an acknowledgement takes as a document.
    """

    def __init__(
        self,
        latency: float = 0.05,
        *,
        workers: int | None = None,
        at_once: int | None = None,
        rate: int | None = None,
        asks: float | None = None,
        noise: float = 0.0,
        acknowledging: float = 1.0,
    ) -> None:
        self.latency = latency
        self.workers = workers
        self.at_once = at_once
        self.rate = rate
        self.asks = asks
        self.noise = noise
        self.acknowledging = acknowledging
        self.refusing = 0.0
        self._chance = Random(7)
        self._at_work = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._inside = 0
        self._accepted: deque[float] = deque()

    def mean(self) -> float:
        """The seconds that it works on a document, in the mean."""
        return self.latency * math.exp(self.noise**2 / 2)

    async def ask(self, kind: str) -> int:
        """Answer with a status."""
        loop = asyncio.get_running_loop()
        self._inside += 1
        try:
            if self._refuses(loop.time()):
                await asyncio.sleep(self.latency)
                return 429
            if self.workers is not None and self._at_work >= self.workers:
                turn = loop.create_future()
                self._queue.append(turn)
                await turn
            else:
                self._at_work += 1
            times = self.acknowledging if kind == "acknowledge" else 1.0
            await asyncio.sleep(self.latency * times * self._chance.lognormvariate(0, self.noise))
            self._at_work -= 1
            while self._queue and (self.workers is None or self._at_work < self.workers):
                self._at_work += 1
                self._queue.popleft().set_result(None)
            return 200
        finally:
            self._inside -= 1

    def _refuses(self, now: float) -> bool:
        if self._chance.random() < self.refusing:
            return True
        if self.at_once is not None and self._inside > self.at_once:
            return True
        while self._accepted and self._accepted[0] <= now - 1:
            self._accepted.popleft()
        if self.rate is not None and len(self._accepted) >= self.rate:
            return True
        self._accepted.append(now)
        return False


class Crowd:
    """So many who ask the server again and again, each for a document and then to acknowledge it.

    done, refused: requests so far. most: that were in flight at once.
    """

    def __init__(self, server: Server, connections: int) -> None:
        self.server = server
        self.connections = connections
        self.done = self.refused = self.most = 0
        self.log: list[tuple[float, float]] = []
        self._inside = 0
        self._loop = Loop()
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(limiter_module, "time", self._loop)
        self.limiter = ConcurrencyLimiter(connections, RETRIES)
        self._tasks: list[asyncio.Task[None]] = []
        self.wanting = 2 * connections

    def run(self, seconds: float) -> tuple[int, int]:
        """Let so much time pass; how many requests were answered, and refused, in it."""
        done, refused = self.done, self.refused
        self._loop.run_until_complete(self._go(seconds))
        return self.done - done, self.refused - refused

    async def _go(self, seconds: float) -> None:
        while len(self._tasks) < self.wanting:
            self._tasks.append(asyncio.ensure_future(self._work()))
        await asyncio.sleep(seconds)

    async def _work(self) -> None:
        while True:
            for kind in ("fetch", "acknowledge"):
                await self._ask(kind)

    async def _ask(self, kind: str) -> None:
        while True:
            await self.limiter.acquire("it", ending=kind == "acknowledge")
            self._inside += 1
            self.most = max(self.most, self._inside)
            began = self._loop.time()
            status = await self.server.ask(kind)
            if status == 200:
                self.limiter.record_answer(kind, self._loop.time() - began)
                self.done += 1
            else:
                self.limiter.record_refusal(began, self.server.asks, too_fast=status == 429)
                self.refused += 1
            self._inside -= 1
            self.limiter.release()
            if status == 200:
                return

    def close(self) -> None:
        """End the crowd."""

        async def abandon() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._loop.run_until_complete(abandon())
        self._patch.undo()
        self._loop.close()
