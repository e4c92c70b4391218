"""Moves documents through the stages: workers, queues, what becomes of each, and the drain."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import anyio
import structlog
from anyio.abc import TaskGroup

from pipeline.acknowledge import Acknowledger, Settled
from pipeline.document import Document, Key
from pipeline.errors import (
    AlreadyDelivered,
    DocumentDamaged,
    DocumentRefused,
    LeftOut,
    PassingError,
    SourceError,
    SourceUnreachable,
    StateError,
    SynqupError,
)
from pipeline.ledger import Ledger
from pipeline.quarantine import Quarantine
from pipeline.queues import Bound, Queue
from pipeline.records import State
from pipeline.source import Outcome, Source
from pipeline.stage import Result, Stage, attempt
from pipeline.tally import Tally

log = structlog.get_logger(__name__)

#: How often a damaged document is fetched again.
REFETCHES = 2
#: Documents that a source may fail in a row before a poll gives it up.
SETBACKS = 8


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


class Size(Protocol):
    """A stage's size as the configuration gives it; None keeps the stage's own."""

    @property
    def workers(self) -> int | None:
        """How many work at once."""

    @property
    def queue(self) -> int | None:
        """Documents in the queue and in hand."""

    @property
    def queue_bytes(self) -> int | None:
        """Bytes in the queue and in hand."""


class Flight:
    """A document in flight: as it took off, and how often it has come back damaged.

    Either it was listed, or an earlier end of it is settled and only the source has to be told.
    """

    def __init__(self, cargo: Document[Any] | Settled) -> None:
        self.cargo = cargo
        self.returns = 0


class Engine:
    """The stages at work: their workers, the queues between them, their drain.

    It takes documents in and sees each one to its end; no document is in flight twice. The end of a
    document is one of: delivered and acknowledged; left out or quarantined, and acknowledged; left
    for a later poll.
    """

    def __init__(self, stages: Sequence[Stage], ledger: Ledger, quarantine: Quarantine) -> None:
        self._ledger = ledger
        self._quarantine = quarantine
        self.tally = Tally()
        #: Set when a stage died of a bug: whoever feeds documents in stops feeding.
        self.broken = anyio.Event()
        self.fault: Exception | None = None
        self._flying: dict[str, dict[Key, Flight]] = {}
        self._landed: dict[str, anyio.Event] = {}
        self._setbacks: dict[str, list[SynqupError]] = {}
        self._stations = [Station(stage) for stage in stages]
        self._acknowledger = Acknowledger(ledger, self._land)
        self._workers: TaskGroup | None = None

    @property
    def queues(self) -> Mapping[str, Queue[Document[Any]]]:
        """The queue in front of each stage, by the stage's name."""
        return {station.stage.name: station.queue for station in self._stations}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work while the block runs; on leaving it, drain what is in flight.

        Raises what a stage died of, once everything else has drained.
        """
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
        """Apply configured sizes by stage name: more workers at once, fewer after their work."""
        for station in self._stations:
            station.resize(sizes.get(station.stage.name))
        self._staff()

    async def offer(self, document: Document[Any]) -> bool:
        """Take a document in, once there is room; False if it is in flight already."""
        if not await self._admit(document.key, document):
            return False
        self.tally.listed += 1
        return True

    async def tell(self, settled: Settled) -> None:
        """Tell a source what an earlier run, or an earlier poll, could not."""
        await self._admit(settled.key, settled)

    def is_flying(self, key: Key) -> bool:
        """Whether the document is between its listing and its end."""
        return key in self._flying.get(key.source, ())

    def in_flight(self, source: str) -> frozenset[Key]:
        """The documents of a source that are in flight at this moment."""
        return frozenset(self._flying.get(source, ()))

    def flying_ids(self, source: str) -> set[str]:
        """The ids of a source of which some revision is in flight at this moment."""
        return {key.id for key in self._flying.get(source, ())}

    def flying(self, source: str) -> int:
        """How many of this source's documents are in flight."""
        return len(self._flying.get(source, ()))

    async def landed(self, source: str) -> None:
        """Wait until none of this source's documents is in flight."""
        while self.flying(source):
            await self._landed[source].wait()

    async def retire(self, source: Source) -> None:
        """Close a source once none of its documents is in flight."""
        await self.landed(source.name)
        await source.close()

    def setback(self, source: str) -> SynqupError | None:
        """Why this source is worth no further document for now: it failed several in a row."""
        setbacks = self._setbacks.get(source, [])
        return setbacks[-1] if len(setbacks) >= SETBACKS else None

    def forgive(self, source: str) -> None:
        """A new poll begins: let it find out for itself whether the source serves again."""
        self._setbacks.pop(source, None)

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
        """Let go of a document whose end the ledger has recorded, and have its source told."""
        await document.release()
        await self._acknowledger.put(Settled(document.key, document.ack.source, outcome))

    async def _admit(self, key: Key, cargo: Document[Any] | Settled) -> bool:
        if self.is_flying(key):
            return False
        flying = self._flying.setdefault(key.source, {})
        if not flying:
            self._landed[key.source] = anyio.Event()
        flying[key] = flight = Flight(cargo)
        try:
            await self._take(flight)
        except BaseException:
            self._land(key)
            raise
        return True

    def _land(self, key: Key) -> None:
        flying = self._flying[key.source]
        flying.pop(key, None)
        if not flying:
            self._landed[key.source].set()

    async def _postpone(self, document: Document[Any], error: SynqupError) -> None:
        self._count(document, State.WAITING)
        if isinstance(error, SourceUnreachable | SourceError):
            self._setbacks.setdefault(document.key.source, []).append(error)
        log.warning("document waits", document=document.entry.label, reason=str(error))
        await self._record(self._ledger.waiting, document, error)
        await document.release()
        self._land(document.key)

    async def _set_aside(self, document: Document[Any], error: SynqupError) -> None:
        async def keep(document: Document[Any]) -> Document[Any]:
            await self._quarantine.keep(document, str(error))
            return document

        kept = await attempt(keep, document)
        if not isinstance(kept, Document):
            await self._postpone(document, kept)
            return
        self._count(document, State.QUARANTINED)
        log.error("document quarantined", document=document.entry.label, reason=str(error))
        await self._record(self._ledger.quarantined, document, error)
        await self._settle(document, document.ack.error(str(error)))

    async def _record(
        self,
        write: Callable[[Sequence[tuple[Key, str]], float], Awaitable[None]],
        document: Document[Any],
        error: SynqupError,
    ) -> None:
        await write([(document.key, str(error))], time.time())

    def _count(self, document: Document[Any], end: State) -> None:
        self.tally.count(end, document.payload.size if document.payload else 0)
