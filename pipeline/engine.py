"""Moves documents through the stages: workers, queues, what becomes of each, and the drain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from pipeline.acknowledge import Acknowledger, Settled
from pipeline.document import Document
from pipeline.errors import (
    AlreadyDelivered,
    DocumentDamaged,
    DocumentRefused,
    LeftOut,
    PassingError,
    StateError,
    SynqupError,
)
from pipeline.intake import Flight, Intake, Size
from pipeline.ledger import Ledger
from pipeline.quarantine import Quarantine
from pipeline.queues import Bound, Queue
from pipeline.records import State
from pipeline.source import Outcome
from pipeline.stage import Result, Stage

log = structlog.get_logger(__name__)

#: How often a damaged document is fetched again.
REFETCHES = 2


class Station:
    """A stage at work: its queue, and how many workers it has and ought to have."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.queue: Queue[Document[Any]] = Queue(stage.queue)
        self.wanted = stage.workers
        self.active = 0

    def resize(self, size: Size | None) -> None:
        """Apply the configured size, or the stage's own where it says nothing."""
        own = self.stage
        self.wanted = (size and size.workers) or own.workers
        self.queue.resize(
            Bound(
                (size and size.queue) or own.queue.documents,
                (size and size.queue_bytes) or own.queue.bytes,
            )
        )


class Engine(Intake):
    """The stages at work in this process: their workers, the queues between them, their drain."""

    def __init__(self, stages: Sequence[Stage], ledger: Ledger, quarantine: Quarantine) -> None:
        super().__init__(ledger, quarantine)
        self._stations = [Station(stage) for stage in stages]
        self._acknowledger = Acknowledger(ledger, self._land)
        self._workers: TaskGroup | None = None

    @property
    def queues(self) -> Mapping[str, Queue[Document[Any]]]:
        """The queue in front of each stage, by the stage's name."""
        return {station.stage.name: station.queue for station in self._stations}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """As Intake.running()."""
        async with AsyncExitStack() as stack:
            for station in self._stations:
                stack.enter_context(station.queue)
            acknowledging = await stack.enter_async_context(anyio.create_task_group())
            acknowledging.start_soon(self._acknowledger.run)
            try:
                async with anyio.create_task_group() as self._workers:
                    self._staff()
                    yield
                    self._stations[0].queue.close()
            finally:
                self._workers = None
                self._acknowledger.close()
        if self.fault is not None:
            raise self.fault

    def resize(self, sizes: Mapping[str, Size]) -> None:
        """As Intake.resize()."""
        for station in self._stations:
            station.resize(sizes.get(station.stage.name))
        self._staff()

    async def _take(self, flight: Flight) -> None:
        if isinstance(flight.cargo, Settled):
            await self._acknowledger.put(flight.cargo)
        else:
            await self._stations[0].queue.put(flight.cargo)

    def _staff(self) -> None:
        if self._workers is None:
            return
        for index, station in enumerate(self._stations):
            while station.active < station.wanted:
                station.active += 1
                self._workers.start_soon(self._work, index, name=station.stage.name)

    async def _work(self, index: int) -> None:
        station = self._stations[index]
        following = self._stations[index + 1] if index + 1 < len(self._stations) else None
        try:
            while station.active <= station.wanted:
                documents = await station.queue.take(station.stage.group, station.stage.linger)
                try:
                    results = await self._results(station.stage, documents)
                    for document, result in zip(documents, results, strict=True):
                        if not isinstance(result, Document):
                            await self._fail(document, result)
                        elif following is not None:
                            await following.queue.put(result)
                        else:
                            await self._arrive(result)
                finally:
                    station.queue.done(documents)
        except anyio.EndOfStream:
            station.wanted = 0
        finally:
            station.active -= 1
            if not station.active and not station.wanted and following is not None:
                following.queue.close()

    async def _results(self, stage: Stage, documents: Sequence[Document[Any]]) -> Sequence[Result]:
        try:
            return await stage.work(documents)
        except StateError:
            # Without a ledger nothing can be recorded, so nothing more may happen.
            raise
        except Exception as bug:  # noqa: BLE001 - whatever it is, it is reported and raised
            self._break(stage, bug)
            # One document alone is set aside, or it would bring every next run down as well;
            # of a group nobody knows which one it was.
            verdict = DocumentRefused if len(documents) == 1 else PassingError
            return [
                verdict(
                    document.entry.label,
                    f"stage {stage.name} died of a fault of synqup's own ({type(bug).__name__})",
                    "Send the log to support",
                )
                for document in documents
            ]

    def _break(self, stage: Stage, bug: Exception) -> None:
        log.error("stage died", stage=stage.name, exc_info=bug)
        self.fault = self.fault or bug
        self.broken.set()

    async def _arrive(self, document: Document[Any]) -> None:
        self._setbacks.pop(document.key.source, None)
        self._count(document, State.DELIVERED)
        await self._settle(document, document.ack.forwarded())

    async def _fail(self, document: Document[Any], error: SynqupError) -> None:
        if isinstance(error, DocumentDamaged):
            await self._return(document, error)
        elif isinstance(error, DocumentRefused):
            await self._set_aside(document, error)
        elif isinstance(error, LeftOut):
            await self._leave_out(document, error)
        else:
            await self._postpone(document, error)

    async def _return(self, document: Document[Any], error: DocumentDamaged) -> None:
        """Have a damaged document fetched again, as often as is worth it."""
        flight = self._flying[document.key.source][document.key]
        if flight.returns == REFETCHES or isinstance(flight.cargo, Settled):
            times = f"{error.reason}; it was fetched {flight.returns + 1} times"
            await self._set_aside(document, type(error)(error.subject, times, error.remedy))
            return
        flight.returns += 1
        log.warning("document damaged", document=document.entry.label, reason=error.reason)
        await document.release()
        try:
            self._stations[0].queue.put_back(flight.cargo)
        except anyio.ClosedResourceError:
            await self._postpone(document, error)

    async def _leave_out(self, document: Document[Any], error: LeftOut) -> None:
        log.info("document left out", document=document.entry.label, reason=str(error))
        if isinstance(error, AlreadyDelivered):
            self._count(document, State.DUPLICATE)
            await self._record(self._ledger.duplicates, document, error)
        else:
            self._count(document, State.SKIPPED)
            await self._record(self._ledger.skipped, document, error)
        await self._settle(document, document.ack.forwarded())

    async def _settle(self, document: Document[Any], outcome: Outcome) -> None:
        """As Intake._settle()."""
        await document.release()
        await self._acknowledger.put(Settled(document.key, document.ack.source, outcome))
