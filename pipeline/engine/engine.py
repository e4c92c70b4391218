"""Engine: runs the stages, each with its workers and its queue, and drains them at the end.

What comes before the stages is the dispatcher's, what comes after them is that of the outcomes and
the acknowledger.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any

import anyio
from anyio.abc import TaskGroup

from pipeline.document import Document
from pipeline.engine.acknowledger import Acknowledger
from pipeline.engine.admission import Admission
from pipeline.engine.breaker import Breaker
from pipeline.engine.counters import RunCounters
from pipeline.engine.dispatcher import EngineDispatcher
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.fair_queue import FairQueue
from pipeline.engine.in_flight import InFlight
from pipeline.engine.journal import Journal
from pipeline.engine.observer import Observer
from pipeline.engine.outcomes import Keep, Outcomes
from pipeline.engine.quarantine import Quarantine
from pipeline.engine.queue import Queue
from pipeline.engine.runner import Size, StageRunner
from pipeline.ledger.ledger import Ledger
from pipeline.records import RecordSink, ignore
from pipeline.stage import Bound, Instrument, Stage


class Engine:
    """The stages at work: their workers, the queues between them, their drain.

    It brings each document that its dispatcher takes in to its end; of an id no two revisions are
    in flight at once. The end is one of: delivered and acknowledged; left out or quarantined, and
    acknowledged; left for a later poll.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        ledger: Ledger,
        quarantine: Quarantine,
        breaker: Breaker | None = None,
        error_reporter: ErrorReporter | None = None,
        instrument: Instrument | None = None,
        sink: RecordSink = ignore,
        keep: Keep | None = None,
    ) -> None:
        """instrument: is put around the work of each stage and around the acknowledging.

        sink: takes the records of delivered documents. keep: is shown each of them.
        """
        counters = RunCounters()
        self.counters = counters.total
        self.breaker = breaker or Breaker()
        reporter = error_reporter or ErrorReporter()
        in_flight = self._in_flight = InFlight(self._look_again)
        self.journal = Journal(counters, sink)
        # A dry run has no stages: its dispatcher is only asked.
        first = self._first = Admission(
            stages[0].queue if stages else Bound(0, 0), in_flight.retired
        )
        queues: list[Queue[Document[Any]]] = [first]
        for stage in stages[1:]:
            fair = FairQueue[Document[Any]](stage.queue, in_flight.retired) if stage.asks else None
            queues.append(fair or Queue(stage.queue))
        runners = [
            StageRunner(stage, self.breaker, reporter, instrument, queue)
            for stage, queue in zip(stages, queues, strict=False)
        ]
        self._runners = runners
        #: The last stage that asks the sources of the documents.
        self._last_asking = max((i for i, stage in enumerate(stages) if stage.asks), default=0)
        self._acknowledger = Acknowledger(
            ledger,
            in_flight.remove,
            self.breaker,
            reporter,
            self.journal,
            instrument,
            in_flight.retired,
        )
        self._outcomes = Outcomes(
            first,
            in_flight,
            self._acknowledger,
            ledger,
            quarantine,
            self.breaker,
            counters,
            reporter,
            self.journal,
            keep,
        )
        self.dispatcher = EngineDispatcher(
            first, in_flight, self._outcomes, self._acknowledger, self.breaker, counters
        )
        self.observer = Observer(runners, self._acknowledger, in_flight, self.breaker, counters)
        self._workers: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work while the block runs; on leaving it, drain what is in flight.

        What is in flight when it is cancelled is dropped; a later run fetches it again.
        """
        try:
            async with AsyncExitStack() as stack:
                for runner in self._runners:
                    stack.enter_context(runner.queue)
                acknowledging = await stack.enter_async_context(anyio.create_task_group())
                acknowledging.start_soon(self._acknowledger.run)
                try:
                    async with anyio.create_task_group() as self._workers:
                        for runner in self._runners:
                            self._add_workers(runner)
                        yield
                        self._runners[0].queue.close()
                finally:
                    self._workers = None
                    self._acknowledger.close()
        finally:
            self._in_flight.clear()
            self.journal.close()

    def resize(
        self,
        sizes: Mapping[str, Size],
        connections: int = 1,
        shares: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Apply configured sizes by stage name: more workers at once, fewer after their work.

        connections: requests that the sources take at once, all together. shares: documents that
        the first stage has of a source at once, by its name.
        """
        for runner in self._runners:
            runner.resize(sizes.get(runner.stage.name), connections, shares)
            self._add_workers(runner)
        self._acknowledger.resize(connections, shares)

    def _look_again(self) -> None:
        """Make up for the workers, and the room, of what is in flight of a source that retires."""
        for runner in self._runners:
            runner.queue.look_again()
            self._add_workers(runner)
        self._acknowledger.look_again()

    def _add_workers(self, runner: StageRunner) -> None:
        """Start the workers that a stage lacks, if the engine runs."""
        if self._workers is None:
            return
        for _ in range(runner.lacking()):
            runner.active += 1
            index = self._runners.index(runner)
            self._workers.start_soon(self._work, index, name=runner.stage.name)

    async def _work(self, index: int) -> None:
        """One worker: ends when it is one too many, or when its queue is closed and empty."""
        runner = self._runners[index]
        following = self._runners[index + 1] if index + 1 < len(self._runners) else None
        try:
            while runner.active <= runner.most:
                # No variable here: while a worker waits for more documents it must not keep the
                # last ones, nor their source, alive.
                await self._move(
                    await runner.queue.take(runner.stage.group, runner.stage.linger),
                    index,
                    following,
                )
        except anyio.EndOfStream:
            runner.wanted = 0
        finally:
            runner.active -= 1
            if not runner.active and not runner.wanted and following is not None:
                following.queue.close()

    async def _move(
        self, documents: Sequence[Document[Any]], index: int, following: StageRunner | None
    ) -> None:
        """Have a stage work on documents, and hand on each to where it goes from there."""
        runner = self._runners[index]
        counters = runner.counters
        runner.busy += 1
        if runner.active < runner.most:
            self._add_workers(runner)
        began = time.perf_counter()
        try:
            results = await runner.work(documents)
            counters.count_group(time.perf_counter() - began)
            for document, result in zip(documents, results, strict=True):
                if not isinstance(result, Document):
                    end = await self._outcomes.failed(document, result)
                    counters.count_failed(end)
                    if end is not None:
                        self._first.leave(document)
                    continue
                if not index:
                    self.breaker.record_success(document.key.source, document.company)
                if following is not None:
                    await following.queue.put(result)
                else:
                    await self._outcomes.delivered(result)
                if index == self._last_asking:
                    self._first.leave(document)
                counters.passed += 1
        finally:
            runner.busy -= 1
            runner.queue.done(documents)
