"""Runs the pipeline in this process with instruments in it, and prints what they say as JSON.

    python -m benchmarks.inside CONFIG [--slow STAGE] [--rate N] [--polls N]

In a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from functools import partial
from pathlib import Path
from types import coroutine
from typing import Any, TypeVar

import anyio
import msgspec
from msgspec import Struct, structs

from pipeline.app.logging import configure_logging
from pipeline.app.wiring import Lister, load_config, open_source, quarantine_in
from pipeline.document import Document
from pipeline.engine.engine import Engine
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.source import Entry, Source
from pipeline.stage import Result, Stage
from stages.flow import Flow
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


class Instruments:
    """What is put around the stages and the source: a clock, and a brake on one of them."""

    def __init__(self, slow: str, rate: float) -> None:
        self.clock = Clock()
        self._slow = slow
        self._rate = rate

    def stage(self, stage: Stage) -> Stage:
        """The same stage, timed; the slow one lets through so many documents a second."""
        work = self.clock.timed(stage.name, stage.work)

        async def slowed(documents: Sequence[Document[Any]]) -> list[Result]:
            await anyio.sleep(len(documents) * stage.workers / self._rate)
            return await work(documents)

        return structs.replace(stage, work=slowed if stage.name == self._slow else work)

    def source(self, source: Source) -> Source:
        """The same source, its acknowledgements timed, and its list slow if that is wanted."""
        told = self.clock.timed("acknowledge", source.acknowledge)
        listed = source.list

        async def slowed(config: Any) -> AsyncGenerator[Sequence[Entry], None]:
            async for page in listed(config):
                await anyio.sleep(len(page) / self._rate)
                yield page

        source.acknowledge = told  # type: ignore[method-assign]
        if self._slow == LIST:
            source.list = slowed  # type: ignore[method-assign]
        return source


async def observe(config: Config, slow: str, rate: float, polls: int) -> Findings:
    """Bring everything, as `catch-up` does; then poll again, where nothing is new."""
    state_dir = config.service.state_dir
    instruments = Instruments(slow, rate)
    asyncio.get_running_loop().set_task_factory(instruments.clock.new_task)
    samples: list[Sample] = []
    async with open_ledger(state_dir / "ledger.sqlite") as ledger:
        flow = Flow(state_dir, ledger)
        await flow.recover()
        stages = [instruments.stage(stage) for stage in flow.stages]
        engine = Engine(stages, ledger, quarantine_in(state_dir))
        engine.resize(config.stages)
        source = instruments.source(open_source(config.sources[0], state_dir))
        began, loop, process = time.perf_counter(), time.thread_time(), time.process_time()
        try:
            async with anyio.create_task_group() as sampling, engine.running():
                sampling.start_soon(_sample, engine, samples, began)
                poll = instruments.clock.timed(LIST, Lister(source, config, ledger, engine).poll)
                await poll()
                seconds = time.perf_counter() - began
                shares = Shares(
                    dict(instruments.clock.spent),
                    time.thread_time() - loop,
                    time.process_time() - process,
                )
                sampling.cancel_scope.cancel()
            idle = await _poll_again(source, config, ledger, stages, polls)
        finally:
            await source.close()
    return Findings(
        delivered=engine.counters.delivered,
        seconds=seconds,
        bounds={
            name: (queue.bound.documents, queue.bound.bytes)
            for name, queue in engine.queues.items()
        },
        samples=samples,
        shares=shares,
        polls=idle,
    )


async def _poll_again(
    source: Source, config: Config, ledger: Ledger, stages: Sequence[Stage], times: int
) -> list[Poll]:
    found = []
    engine = Engine(stages, ledger, quarantine_in(config.service.state_dir))
    async with engine.running():
        for _ in range(times):
            before = time.process_time()
            await Lister(source, config, ledger, engine).poll()
            found.append(Poll(time.process_time() - before))
    return found


async def _sample(engine: Engine, samples: list[Sample], began: float) -> None:
    while True:
        queues = engine.queues
        samples.append(
            Sample(
                time.perf_counter() - began,
                {name: queue.documents for name, queue in queues.items()},
                {name: queue.bytes for name, queue in queues.items()},
                _memory(),
            )
        )
        await anyio.sleep(LOOK)


def _memory() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


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
