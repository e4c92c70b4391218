"""Acknowledger: tells the sources what became of their documents, in batches.

A document gets here only after the ledger has recorded its end. An acknowledgement that fails stays
open in the ledger, and the next poll of its source repeats it: one that is lost costs a delay and
nothing else. While too many of a source wait, no further document of it starts; those of the others
go on. A source that takes none of them, or none of one company, is given up until its next poll, as
where it serves no documents.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import anyio
import structlog
from anyio.abc import TaskGroup

from pipeline.dispatcher import PendingAck
from pipeline.document import Key
from pipeline.engine.breaker import Breaker
from pipeline.engine.breaker_retry import BreakerRetry
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.fair_queue import FairQueue
from pipeline.engine.journal import Journal
from pipeline.errors import InternalError
from pipeline.ledger.ledger import Ledger
from pipeline.source import Outcome, Source
from pipeline.stage import Bound, Instrument
from pipeline.traits import Acknowledging

log = structlog.get_logger(__name__)

#: The least bound of what waits, of each source, for being acknowledged: beyond it none starts.
BOUND = Bound(512, 1024 * 1024)
#: The name of this work, and of its queue, beside the names of the stages.
NAME = "acknowledge"


class Acknowledger:
    """The queue of pending acknowledgements, and the workers that send them.

    finished: called with the key of each document, acknowledged or not, when it is not in flight
    any more. instrument: is put around `acknowledge` of each source. retired: as in FairQueue.
    """

    def __init__(
        self,
        ledger: Ledger,
        finished: Callable[[Key], None],
        breaker: Breaker,
        error_reporter: ErrorReporter,
        journal: Journal,
        instrument: Instrument | None = None,
        retired: Collection[Source] = (),
    ) -> None:
        self.queue: FairQueue[PendingAck] = FairQueue(BOUND, retired)
        self._ledger = ledger
        self._finished = finished
        self._breaker = breaker
        self._error_reporter = error_reporter
        self._journal = journal
        self._instrument = instrument
        #: Of acknowledgements alone: who takes none may serve documents.
        self._own_breaker = Breaker()
        self._retry = BreakerRetry(self._own_breaker)
        self._batch = 1
        #: Workers, how many of them are busy, and how many there are to be at most.
        self._active = self._busy = 0
        self._wanted = 1
        self._workers: TaskGroup | None = None

    def resize(self, connections: int, shares: Mapping[str, int] = MappingProxyType({})) -> None:
        """Send as many batches at once as the sources take requests, all together.

        shares: in which proportion each of several sources has a part of them, by its name.
        """
        total = sum(shares.values())
        parts = {one: max(connections * share // total, 1) for one, share in shares.items()}
        self._wanted = max(connections, sum(parts.values()))
        self.queue.share(parts)
        # Twice as many: a group that has been delivered comes at once.
        self.queue.resize(Bound(max(BOUND.documents, 2 * connections), BOUND.bytes))
        self._add_workers()

    def reset(self, source: str, *, several: bool) -> None:
        """Let a source be told anew, since a poll of it begins. several: as in Breaker.reset()."""
        self._own_breaker.reset(source, several=several)

    async def room(self, source: Source) -> None:
        """Wait until fewer of a source wait than are to wait at most."""
        await self.queue.room(source)

    def put(self, pending: PendingAck) -> None:
        """Leave it to the workers; after a stop, to a later run.

        It does not wait for room, since the stages would wait with it, and so all other sources.
        There is no more of a source than what room() has let in.
        """
        self._batch = max(self._batch, pending.source.ack_batch)
        try:
            self.queue.put_back(pending)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._finished(pending.key)

    def close(self) -> None:
        """Nothing will be put any more; run() returns when the queue is empty."""
        self.queue.close()

    def look_again(self) -> None:
        """Make up for the workers that are busy for a source that has retired."""
        self.queue.look_again()
        self._add_workers()

    async def run(self) -> None:
        """Send what is put until close()."""
        with self.queue:
            try:
                async with anyio.create_task_group() as self._workers:
                    self._add_workers()
            finally:
                self._workers = None

    def _add_workers(self) -> None:
        """Start the workers that lack for what waits, and one for the next to come, if it runs."""
        if self._workers is None:
            return
        idle = self._active - self._busy
        for _ in range(min(self.queue.waiting + 1 - idle, self._most - self._active)):
            self._active += 1
            self._workers.start_soon(self._work)

    @property
    def _most(self) -> int:
        return self._wanted + self.queue.aside

    async def _work(self) -> None:
        try:
            while self._active <= self._most:
                # No variable here: while a worker waits for more acknowledgements it must not keep
                # the last ones, nor their source, alive.
                await self._finish(await self.queue.take(self._batch))
        except anyio.EndOfStream:
            self._wanted = 0
        finally:
            self._active -= 1

    async def _finish(self, taken: Sequence[PendingAck]) -> None:
        self._busy += 1
        if self._active < self._most:
            self._add_workers()
        try:
            await self._send_all(taken)
        finally:
            self._busy -= 1
            self.queue.done(taken)
            for pending in taken:
                self._finished(pending.key)

    async def _send_all(self, taken: Sequence[PendingAck]) -> None:
        source = taken[0].source
        for start in range(0, len(taken), source.ack_batch):
            await self._send(source, taken[start : start + source.ack_batch])

    async def _send(self, source: Source, batch: Sequence[PendingAck]) -> None:
        acknowledge: Callable[..., Awaitable[Collection[str]]] = source.acknowledge
        if source.traits.acknowledges is Acknowledging.NONE:
            acknowledge = nothing_to_tell
        elif self._instrument is not None:
            acknowledge = self._instrument(NAME, acknowledge)
        # What is told together may be of several.
        company = batch[0].company if len(batch) == 1 else ""
        work = partial(acknowledge, [one.outcome for one in batch])
        try:
            taken = await self._retry(source, work, company)
        except Exception as error:  # noqa: BLE001 - whatever a source raises concerns it alone
            reason = self._error_reporter.report(f"source {source.name}", error)
            if isinstance(reason, InternalError):
                self._breaker.stop(source.name, reason)
            else:
                self._own_breaker.record_failure(source.name, reason, company)
            log.warning(
                "acknowledgements wait",
                source=source.name,
                documents=len(batch),
                reason=str(reason),
            )
            self._journal.told(batch, time.time(), acknowledged=False)
            return
        self._own_breaker.record_success(source.name, company)
        now = time.time()
        told = [one for one in batch if one.outcome.id in taken]
        keys = [key for one in told for key in (*one.covers, one.key)]
        if keys:
            await self._ledger.acknowledged(keys, now)
        self._journal.told(told, now)
        if len(told) < len(batch):
            left = [one for one in batch if one.outcome.id not in taken]
            self._journal.told(left, now, acknowledged=False)


async def nothing_to_tell(outcomes: Sequence[Outcome]) -> Collection[str]:
    """Acknowledge to a source that takes no acknowledgements."""
    return [outcome.id for outcome in outcomes]
