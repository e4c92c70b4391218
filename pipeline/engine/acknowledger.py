"""Acknowledger: tells the sources what became of their documents, in batches.

A document gets here only after the ledger has recorded its end. An acknowledgement that fails stays
open in the ledger, and the next poll of its source repeats it: one that is lost costs a delay and
nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby

import anyio
import structlog

from pipeline.dispatcher import PendingAck
from pipeline.document import Key
from pipeline.engine.breaker import Breaker
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.queue import Queue
from pipeline.errors import InternalError
from pipeline.ledger.ledger import Ledger
from pipeline.source import Source
from pipeline.stage import Bound, Instrument

log = structlog.get_logger(__name__)

#: The bound of what waits for being acknowledged: beyond it the stages wait.
BOUND = Bound(512, 1024 * 1024)
#: How many batches are sent at once.
WORKERS = 16
#: The name of this work, and of its queue, beside the names of the stages.
NAME = "acknowledge"


class Acknowledger:
    """The queue of pending acknowledgements, and the workers that send them.

    finished: called with the key of each document, acknowledged or not, when it is not in flight
    any more. instrument: is put around `acknowledge` of each source.
    """

    def __init__(
        self,
        ledger: Ledger,
        finished: Callable[[Key], None],
        breaker: Breaker,
        error_reporter: ErrorReporter,
        instrument: Instrument | None = None,
    ) -> None:
        self.queue: Queue[PendingAck] = Queue(BOUND)
        self._ledger = ledger
        self._finished = finished
        self._breaker = breaker
        self._error_reporter = error_reporter
        self._instrument = instrument
        self._batch = 1

    async def put(self, pending: PendingAck) -> None:
        """Leave it to the workers, once there is room; after a stop, to a later run."""
        self._batch = max(self._batch, pending.source.ack_batch)
        try:
            await self.queue.put(pending)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._finished(pending.key)

    def close(self) -> None:
        """Nothing will be put any more; run() returns when the queue is empty."""
        self.queue.close()

    async def run(self) -> None:
        """Send what is put until close()."""
        with self.queue:
            async with anyio.create_task_group() as group:
                for _ in range(WORKERS):
                    group.start_soon(self._work)

    async def _work(self) -> None:
        with suppress(anyio.EndOfStream):
            while True:
                # No variable here: while a worker waits for more acknowledgements it must not keep
                # the last ones, nor their source, alive.
                await self._finish(await self.queue.take(self._batch))

    async def _finish(self, taken: Sequence[PendingAck]) -> None:
        try:
            await self._send_all(taken)
        finally:
            self.queue.done(taken)
            for pending in taken:
                self._finished(pending.key)

    async def _send_all(self, taken: Sequence[PendingAck]) -> None:
        for _, group in groupby(taken, key=lambda pending: id(pending.source)):
            batch = list(group)
            source = batch[0].source
            for start in range(0, len(batch), source.ack_batch):
                await self._send(source, batch[start : start + source.ack_batch])

    async def _send(self, source: Source, batch: Sequence[PendingAck]) -> None:
        acknowledge: Callable[..., Awaitable[None]] = source.acknowledge
        if self._instrument is not None:
            acknowledge = self._instrument(NAME, acknowledge)
        try:
            await source.retries.run(partial(acknowledge, [one.outcome for one in batch]))
        except Exception as error:  # noqa: BLE001 - whatever a source raises concerns it alone
            reason = self._error_reporter.report(f"source {source.name}", error)
            if isinstance(reason, InternalError):
                self._breaker.stop(source.name, reason)
            log.warning(
                "acknowledgements wait",
                source=source.name,
                documents=len(batch),
                reason=str(reason),
            )
            return
        await self._ledger.acknowledged([one.key for one in batch], time.time())
