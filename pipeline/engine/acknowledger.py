"""Tells the sources what became of their documents, in batches, after the ledger knows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby

import anyio
import structlog
from msgspec import Struct

from pipeline.document import Ack, Key
from pipeline.engine.breaker import Breaker
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.queue import Queue
from pipeline.errors import InternalError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import FORWARDED, Known
from pipeline.source import Outcome, Source
from pipeline.stage import Bound

log = structlog.get_logger(__name__)

#: How many may wait to be told: more than this and the stages wait.
BOUND = Bound(512, 1024 * 1024)
#: How many batches are told at once.
WORKERS = 16


class PendingAck(Struct, frozen=True):
    """A document whose end the ledger has recorded and whose source has yet to be told."""

    key: Key
    source: Source
    outcome: Outcome

    @property
    def held(self) -> int:
        """Bytes of memory, for the queue's bound; its message is all that may be long."""
        return len(self.outcome.message)


def settled(key: Key, source: Source, row: Known) -> PendingAck:
    """What the source is to be told of a document that has come to its end."""
    ack = Ack(source, key.id)
    forwarded = row.state in FORWARDED
    return PendingAck(key, source, ack.forwarded() if forwarded else ack.error(row.reason))


class Acknowledger:
    """Holds what has to be told, and tells it.

    An acknowledgement that fails stays open in the ledger; the next poll of its source asks for
    it again, so one that is lost costs a delay and nothing else.
    """

    def __init__(
        self,
        ledger: Ledger,
        finished: Callable[[Key], None],
        breaker: Breaker,
        error_reporter: ErrorReporter,
    ) -> None:
        self._ledger = ledger
        self._finished = finished
        self._breaker = breaker
        self._error_reporter = error_reporter
        self._queue: Queue[PendingAck] = Queue(BOUND)
        self._batch = 1

    async def put(self, settled: PendingAck) -> None:
        """Have it told, once there is room; after a stop at once, by a later run."""
        self._batch = max(self._batch, settled.source.ack_batch)
        try:
            await self._queue.put(settled)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._finished(settled.key)

    def close(self) -> None:
        """Nothing will be put any more; run() ends when all has been told."""
        self._queue.close()

    async def run(self) -> None:
        """Tell what comes until close()."""
        with self._queue:
            async with anyio.create_task_group() as group:
                for _ in range(WORKERS):
                    group.start_soon(self._work)

    async def _work(self) -> None:
        with suppress(anyio.EndOfStream):
            while True:
                # No name here: who waits for the next ones keeps neither these nor their source.
                await self._finish(await self._queue.take(self._batch))

    async def _finish(self, settled: Sequence[PendingAck]) -> None:
        try:
            await self._tell_all(settled)
        finally:
            self._queue.done(settled)
            for one in settled:
                self._finished(one.key)

    async def _tell_all(self, settled: Sequence[PendingAck]) -> None:
        for _, group in groupby(settled, key=lambda one: id(one.source)):
            batch = list(group)
            source = batch[0].source
            for start in range(0, len(batch), source.ack_batch):
                await self._tell(source, batch[start : start + source.ack_batch])

    async def _tell(self, source: Source, batch: Sequence[PendingAck]) -> None:
        outcomes = [one.outcome for one in batch]
        try:
            await source.retries.run(partial(source.acknowledge, outcomes))
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
