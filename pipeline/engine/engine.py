"""Moves documents through the stages: workers, queues, what becomes of each, and the drain."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from pipeline.document import Document, Key
from pipeline.engine.acknowledger import Acknowledger, PendingAck
from pipeline.engine.breaker import Breaker
from pipeline.engine.counters import Counters
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.in_flight import InFlight
from pipeline.engine.quarantine import Quarantine
from pipeline.engine.queue import Queue
from pipeline.engine.runner import Size, StageRunner
from pipeline.errors import (
    AlreadyDelivered,
    Corrupt,
    Rejected,
    Skipped,
    StateError,
    SynqupError,
)
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import State
from pipeline.source import Outcome, Source, Status
from pipeline.stage import REFETCHES, Stage, retryable_os_error

log = structlog.get_logger(__name__)


class Engine:
    """The stages at work: their workers, the queues between them, their drain.

    It takes documents in and sees each one to its end; of an id no two revisions are in flight at
    once. The end of a document is one of: delivered and acknowledged; left out or quarantined, and
    acknowledged; left for a later poll.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        ledger: Ledger,
        quarantine: Quarantine,
        breaker: Breaker | None = None,
        error_reporter: ErrorReporter | None = None,
    ) -> None:
        self._ledger = ledger
        self._quarantine = quarantine
        self.counters = Counters()
        self.breaker = breaker or Breaker()
        self._error_reporter = error_reporter or ErrorReporter()
        self._flights = InFlight()
        self._runners = [StageRunner(stage, self.breaker, self._error_reporter) for stage in stages]
        self._acknowledger = Acknowledger(
            ledger, self._flights.remove, self.breaker, self._error_reporter
        )
        self._workers: TaskGroup | None = None

    @property
    def queues(self) -> Mapping[str, Queue[Document[Any]]]:
        """The queue in front of each stage, by the stage's name."""
        return {runner.stage.name: runner.queue for runner in self._runners}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work while the block runs; on leaving it, drain what is in flight.

        What is in flight when it is cancelled is dropped, for a later run to fetch again.
        """
        try:
            async with AsyncExitStack() as stack:
                for runner in self._runners:
                    stack.enter_context(runner.queue)
                acknowledging = await stack.enter_async_context(anyio.create_task_group())
                acknowledging.start_soon(self._acknowledger.run)
                try:
                    async with anyio.create_task_group() as self._workers:
                        self._staff()
                        yield
                        self._runners[0].queue.close()
                finally:
                    self._workers = None
                    self._acknowledger.close()
        finally:
            self._flights.clear()

    def resize(self, sizes: Mapping[str, Size]) -> None:
        """Apply configured sizes by stage name: more workers at once, fewer after their work."""
        for runner in self._runners:
            runner.resize(sizes.get(runner.stage.name))
        self._staff()

    async def offer(self, document: Document[Any]) -> bool:
        """Take a document in, once there is room; False if one of its id is in flight already."""
        if not await self._admit(document.key, document):
            return False
        self.counters.listed += 1
        return True

    async def tell(self, settled: PendingAck) -> None:
        """Tell a source what an earlier run, or an earlier poll, could not."""
        await self._clear_quarantine(settled.key, settled.outcome)
        await self._admit(settled.key, settled)

    def is_flying(self, key: Key) -> bool:
        """Whether the document, in this very revision, is between its listing and its end."""
        return self._flights.get(key) is not None

    def is_flying_id(self, source: str, id_: str) -> bool:
        """Whether any revision of this id is between its listing and its end."""
        return self._flights.has_id(source, id_)

    def in_flight(self, source: str) -> frozenset[Key]:
        """The documents of a source that are in flight at this moment."""
        return self._flights.of(source)

    def flying(self, source: str) -> int:
        """How many of this source's documents are in flight."""
        return self._flights.count(source)

    async def landed(self, source: str) -> None:
        """Wait until none of the documents of the source of this name is in flight."""
        await self._flights.landed(source)

    async def retire(self, source: Source) -> None:
        """Wait until nothing that this very source has shown is in flight.

        Another one may bear its name from now on, and does not wait for these documents.
        """
        await self._flights.retire(source)

    def setback(self, source: str) -> SynqupError | None:
        """Why this source is worth no further document for now."""
        return self.breaker.open(source, idle=not self.flying(source))

    def forgive(self, source: str) -> None:
        """A new poll begins: let it find out for itself whether the source serves again."""
        self.breaker.reset(source)

    async def _admit(self, key: Key, cargo: Document[Any] | PendingAck) -> bool:
        if not self._flights.add(key, cargo):
            return False
        try:
            if isinstance(cargo, PendingAck):
                await self._acknowledger.put(cargo)
            else:
                await self._runners[0].queue.put(cargo)
        except BaseException:
            self._flights.remove(key)
            raise
        return True

    def _staff(self) -> None:
        if self._workers is None:
            return
        for index, runner in enumerate(self._runners):
            while runner.active < runner.wanted:
                runner.active += 1
                self._workers.start_soon(self._work, index, name=runner.stage.name)

    async def _work(self, index: int) -> None:
        runner = self._runners[index]
        following = self._runners[index + 1] if index + 1 < len(self._runners) else None
        try:
            while runner.active <= runner.wanted:
                # No name here: who waits for the next ones keeps neither these nor their source.
                await self._move(
                    await runner.queue.take(runner.stage.group, runner.stage.linger),
                    runner,
                    following,
                )
        except anyio.EndOfStream:
            runner.wanted = 0
        finally:
            runner.active -= 1
            if not runner.active and not runner.wanted and following is not None:
                following.queue.close()

    async def _move(
        self, documents: Sequence[Document[Any]], runner: StageRunner, following: StageRunner | None
    ) -> None:
        """Have a stage work on documents, and hand on each to where it goes from there."""
        first = runner is self._runners[0]
        try:
            results = await runner.work(documents)
            for document, result in zip(documents, results, strict=True):
                if not isinstance(result, Document):
                    await self._fail(document, result)
                    continue
                if first:
                    self.breaker.record_success(document.key.source)
                if following is not None:
                    await following.queue.put(result)
                else:
                    await self._arrive(result)
        finally:
            runner.queue.done(documents)

    async def _arrive(self, document: Document[Any]) -> None:
        self._count(document, State.DELIVERED)
        await self._settle(document, document.ack.forwarded())

    async def _fail(self, document: Document[Any], error: SynqupError) -> None:
        if isinstance(error, Corrupt):
            await self._return(document, error)
        elif isinstance(error, Rejected):
            await self._set_aside(document, error)
        elif isinstance(error, Skipped):
            await self._leave_out(document, error)
        else:
            await self._postpone(document, error)

    async def _return(self, document: Document[Any], error: Corrupt) -> None:
        """Have a damaged document fetched again, as often as is worth it."""
        flight = self._flights.get(document.key)
        if flight is None or isinstance(flight.cargo, PendingAck):
            raise RuntimeError(f"{document.entry.label} is not in flight")
        if flight.returns == REFETCHES:
            times = f"{error.reason}; it was fetched {flight.returns + 1} times"
            await self._set_aside(document, type(error)(error.subject, times, error.remedy))
            return
        flight.returns += 1
        log.warning("document damaged", document=document.entry.label, reason=error.reason)
        await self._release(document)
        try:
            self._runners[0].queue.put_back(flight.cargo)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            await self._postpone(document, error)

    async def _leave_out(self, document: Document[Any], error: Skipped) -> None:
        log.info("document left out", document=document.entry.label, reason=str(error))
        same = isinstance(error, AlreadyDelivered)
        record = self._ledger.duplicates if same else self._ledger.skipped
        if await self._record(record, document, error):
            self._count(document, State.DUPLICATE if same else State.SKIPPED)
            await self._settle(document, document.ack.forwarded())

    async def _postpone(self, document: Document[Any], error: SynqupError) -> None:
        self.breaker.record_failure(document.key.source, error)
        log.warning("document waits", document=document.entry.label, reason=str(error))
        if await self._record(self._ledger.waiting, document, error):
            await self._wait(document)

    async def _set_aside(self, document: Document[Any], error: SynqupError) -> None:
        try:
            await self._quarantine.keep(document, str(error))
        except OSError as trouble:
            await self._postpone(document, retryable_os_error(document.entry.label, trouble))
            return
        except Exception as trouble:  # noqa: BLE001 - whatever it is concerns this document
            words = self._error_reporter.report("the quarantine", trouble, document.entry.label)
            await self._postpone(document, words)
            return
        log.error("document quarantined", document=document.entry.label, reason=str(error))
        if await self._record(self._ledger.quarantined, document, error):
            self._count(document, State.QUARANTINED)
            await self._settle(document, document.ack.error(str(error)))

    async def _record(
        self,
        write: Callable[[Sequence[tuple[Key, str]], float], Awaitable[None]],
        document: Document[Any],
        error: SynqupError,
    ) -> bool:
        """Record an end of a document; if the ledger can't take it, the document waits."""
        try:
            await write([(document.key, str(error))], time.time())
        except StateError:
            raise
        except Exception as bug:  # noqa: BLE001 - whatever it is concerns this document
            words = self._error_reporter.report("the ledger", bug, document.entry.label)
            self.breaker.record_failure(document.key.source, words)
            log.error("document waits", document=document.entry.label, reason=str(words))
            await self._wait(document)
            return False
        return True

    async def _settle(self, document: Document[Any], outcome: Outcome) -> None:
        """Let go of a document whose end the ledger has recorded, and have its source told."""
        await self._release(document)
        await self._clear_quarantine(document.key, outcome)
        await self._acknowledger.put(PendingAck(document.key, document.ack.source, outcome))

    async def _clear_quarantine(self, key: Key, outcome: Outcome) -> None:
        """Remove what was set aside of a document that has arrived since."""
        if outcome.status is not Status.FORWARDED:
            return
        try:
            await self._quarantine.remove(key)
        except OSError as error:
            log.warning("quarantine can't be cleared", id=key.id, reason=str(error))

    async def _wait(self, document: Document[Any]) -> None:
        """Let go of a document that a later poll takes up."""
        self._count(document, State.WAITING)
        await self._release(document)
        self._flights.remove(document.key)

    async def _release(self, document: Document[Any]) -> None:
        try:
            await document.release()
        except Exception as error:  # noqa: BLE001 - a file is left over until the next start
            self._error_reporter.report("temporary files", error, document.entry.label)

    def _count(self, document: Document[Any], end: State) -> None:
        self.counters.count(end, document.payload.size if document.payload else 0)
