"""Runs the program in this process with an instrument in its engine; prints its findings as JSON.

    python -m benchmarks.inside CONFIG [--slow STAGE] [--rate N] [--polls N]

In a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from types import coroutine
from typing import Any, TypeVar

import anyio
import msgspec
from msgspec import Struct

from benchmarks.measure import memory_of
from pipeline.app.logging import configure_logging
from pipeline.app.wiring import Application, load_config, open_application
from pipeline.engine.acknowledger import NAME as ACKNOWLEDGE
from pipeline.engine.engine import Engine
from pipeline.engine.observer import QueueSnapshot, Snapshot
from pipeline.source import Entry, Incoming, Outcome, Source
from stages.flow import FLOW
from stages.settings import Config

T = TypeVar("T")

#: Seconds between two looks at the queues.
LOOK = 0.02
LIST = "list"


class Sample(Struct, frozen=True):
    """The queues at one moment: documents and bytes in front of each stage and in its hands."""

    at: float
    documents: dict[str, int]
    bytes: dict[str, int]
    memory: int


class Shares(Struct, frozen=True):
    """Seconds: on the loop by what ran there, of the loop's thread in all, of all threads."""

    on_loop: dict[str, float]
    loop: float
    process: float


class Poll(Struct, frozen=True):
    """What a poll that found nothing new took, in seconds of processor time."""

    cpu: float


class Findings(Struct, frozen=True):
    """What came of a run. bounds: documents and bytes that each stage may occupy."""

    delivered: int
    seconds: float
    bounds: dict[str, tuple[int, int]]
    samples: list[Sample]
    shares: Shares
    polls: list[Poll]


class Clock:
    """Adds up the processor time that the loop spends in coroutines, by name."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._running: list[str] = []
        self._since = 0.0

    def timed(
        self, name: str, work: Callable[..., Awaitable[T]]
    ) -> Callable[..., Coroutine[Any, Any, T]]:
        """The same function, its steps timed. One timed within another counts for itself alone."""

        @coroutine
        def steps(*arguments: Any) -> Generator[Any, Any, T]:
            inner = _awaited(work(*arguments))
            send: Callable[[Any], Any] = inner.send
            value: Any = None
            while True:
                self._enter(name)
                try:
                    waits_for = send(value)
                except StopIteration as end:
                    result: T = end.value
                    return result
                finally:
                    self._leave()
                try:
                    value, send = (yield waits_for), inner.send
                except BaseException as error:  # noqa: BLE001 - handed on as it came
                    value, send = error, inner.throw

        return steps

    def new_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> asyncio.Task[Any]:
        """Make a task, which is timed for what starts it; a loop's task factory."""
        if self._running:
            work = self.timed(self._running[-1], partial(_awaited, work))()
        return asyncio.Task(_awaited(work), loop=loop, **options)

    def _enter(self, name: str) -> None:
        self._count()
        self._running.append(name)

    def _leave(self) -> None:
        self._count()
        self._running.pop()

    def _count(self) -> None:
        now = time.thread_time()
        if self._running:
            running = self._running[-1]
            self.spent[running] = self.spent.get(running, 0.0) + now - self._since
        self._since = now


async def _awaited(work: Awaitable[T]) -> T:
    return await work


class Brake:
    """An instrument for the engine that times all work by a clock, and slows down one stage.

    rate: documents a second that the stage `slow` lets through.
    """

    def __init__(self, clock: Clock, slow: str, rate: float) -> None:
        self._clock = clock
        self._slow = slow
        self._rate = rate
        self._workers = {spec.name: spec.workers for spec in FLOW}

    def __call__(
        self, name: str, work: Callable[..., Awaitable[T]], /
    ) -> Callable[..., Awaitable[T]]:
        timed = self._clock.timed(name, work)
        if name != self._slow:
            return timed

        async def slowed(documents: Sequence[Any]) -> T:
            await anyio.sleep(len(documents) * self._workers[name] / self._rate)
            return await timed(documents)

        return slowed


class SlowlyListed(Source):
    """A source whose list shows so many documents a second."""

    def __init__(self, source: Source, rate: float) -> None:
        self.name = source.name
        self.settings = source.settings
        self.ack_batch = source.ack_batch
        self.retries = source.retries
        self._source = source
        self._rate = rate

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        async for page in self._source.list(config):
            await anyio.sleep(len(page) / self._rate)
            yield page

    def backlog(self) -> int | None:
        return self._source.backlog()

    def fetch(self, entry: Entry, media_type: str = "") -> AbstractAsyncContextManager[Incoming]:
        return self._source.fetch(entry, media_type)

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> None:
        await self._source.acknowledge(outcomes)

    async def check(self, config: Any) -> str:
        return await self._source.check(config)

    async def close(self) -> None:
        await self._source.close()


async def observe(config: Config, slow: str, rate: float, polls: int) -> Findings:
    """Bring everything, as `catch-up` does; then poll again, where nothing is new."""
    clock = Clock()
    asyncio.get_running_loop().set_task_factory(clock.new_task)
    samples: list[Sample] = []
    async with open_application(config, instrument=Brake(clock, slow, rate)) as application:
        source = application.open(config.sources[0])
        if slow == LIST:
            source = SlowlyListed(source, rate)
        engine = application.engine
        began, loop, process = time.perf_counter(), time.thread_time(), time.process_time()
        try:
            async with engine.running():
                async with anyio.create_task_group() as sampling:
                    sampling.start_soon(_sample, engine, samples, began)
                    await clock.timed(LIST, application.poll)(source, config)
                    seconds = time.perf_counter() - began
                    shares = Shares(
                        dict(clock.spent),
                        time.thread_time() - loop,
                        time.process_time() - process,
                    )
                    sampling.cancel_scope.cancel()
                snapshot = engine.observer.snapshot()
                idle = await _poll_again(application, source, config, polls)
        finally:
            await application.close(source)
    return Findings(
        delivered=snapshot.counters.delivered,
        seconds=seconds,
        bounds={
            name: (queue.max_documents, queue.max_bytes) for name, queue in queues(snapshot).items()
        },
        samples=samples,
        shares=shares,
        polls=idle,
    )


async def _poll_again(
    application: Application, source: Source, config: Config, times: int
) -> list[Poll]:
    found = []
    for _ in range(times):
        before = time.process_time()
        await application.poll(source, config)
        found.append(Poll(time.process_time() - before))
    return found


async def _sample(engine: Engine, samples: list[Sample], began: float) -> None:
    while True:
        found = queues(engine.observer.snapshot())
        samples.append(
            Sample(
                time.perf_counter() - began,
                {name: queue.documents for name, queue in found.items()},
                {name: queue.bytes for name, queue in found.items()},
                memory_of(os.getpid()),
            )
        )
        await anyio.sleep(LOOK)


def queues(snapshot: Snapshot) -> dict[str, QueueSnapshot]:
    """The queue of each stage, and that of what is to be acknowledged."""
    stages = {name: stage.queue for name, stage in snapshot.stages.items()}
    return stages | {ACKNOWLEDGE: snapshot.acknowledgements}


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--slow", default="")
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--polls", type=int, default=0)
    given = parser.parse_args()
    config = load_config(given.config)
    config.service.state_dir.mkdir(parents=True, exist_ok=True)
    configure_logging(config.service.state_dir / "logs", quiet=True)
    findings = anyio.run(observe, config, given.slow, given.rate, given.polls)
    sys.stdout.buffer.write(msgspec.json.encode(findings))


if __name__ == "__main__":
    main()
