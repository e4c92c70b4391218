"""Outcomes: brings each document that leaves the stages to its end, recorded and acknowledged.

The order is fixed: what keeps the document (its folder, the quarantine) is durable before the
ledger records the end, and the ledger has recorded it before the source is told.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import anyio
import structlog

from pipeline.dispatcher import PendingAck
from pipeline.document import Document, Key
from pipeline.engine.acknowledger import Acknowledger
from pipeline.engine.breaker import Breaker
from pipeline.engine.counters import RunCounters
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.in_flight import InFlight
from pipeline.engine.journal import Journal
from pipeline.engine.quarantine import Quarantine
from pipeline.engine.queue import Queue
from pipeline.errors import (
    AlreadyDelivered,
    Corrupt,
    Noted,
    Rejected,
    Skipped,
    StateError,
    SynqupError,
)
from pipeline.ledger.gone import record_gone
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import State
from pipeline.note import Note
from pipeline.records import DocumentRecord
from pipeline.source import Outcome
from pipeline.stage import REFETCHES, retryable_os_error

log = structlog.get_logger(__name__)

#: Takes a delivered document, whose bytes are released when it returns. It raises nothing.
Keep = Callable[[Document[Any]], Awaitable[None]]


class Outcomes:
    """Ends documents: delivered, duplicate, skipped, quarantined, or waiting for a later poll.

    A document that can't be brought to the end that it was to have waits; StateError is raised.
    """

    def __init__(
        self,
        first: Queue[Document[Any]],
        in_flight: InFlight,
        acknowledger: Acknowledger,
        ledger: Ledger,
        quarantine: Quarantine,
        breaker: Breaker,
        counters: RunCounters,
        error_reporter: ErrorReporter,
        journal: Journal,
        keep: Keep | None = None,
    ) -> None:
        """first: the queue in front of the first stage, which fetches documents.

        keep: is shown each delivered document before its bytes are released.
        """
        self._first = first
        self._in_flight = in_flight
        self._acknowledger = acknowledger
        self._ledger = ledger
        self._quarantine = quarantine
        self._breaker = breaker
        self._counters = counters
        self._error_reporter = error_reporter
        self._journal = journal
        self._keep = keep

    async def delivered(self, document: Document[Any]) -> None:
        """End a document that has passed the last stage, which has recorded it in the ledger."""
        self._count(document, State.DELIVERED)
        if self._keep is not None:
            await self._keep(document)
        await self._settle(document, document.ack.ack(), self._journal.record_of(document))

    async def failed(self, document: Document[Any], error: SynqupError) -> State | None:
        """End a document that a stage has failed, as its error says; return its end.

        None: it has not come to an end but is fetched again.
        """
        if isinstance(error, Corrupt):
            return await self._refetch(document, error)
        if isinstance(error, Rejected):
            return await self._set_aside(document, error)
        if isinstance(error, Skipped):
            return await self._leave_out(document, error)
        return await self._postpone(document, error)

    async def gone(self, found: Sequence[tuple[Key, SynqupError]]) -> None:
        """Record documents that waited, and that their source does not list any more."""
        await record_gone(self._ledger, [(key, str(why)) for key, why in found], time.time())
        for key, why in found:
            log.error("document gone", document=why.subject, reason=str(why))
            self._counters.count(key.source, State.QUARANTINED, 0)

    async def clear_quarantine(self, key: Key, outcome: Outcome) -> None:
        """Remove what the quarantine keeps of a document that has been accepted since."""
        if not outcome.accepted:
            return
        try:
            await self._quarantine.remove(key)
        except OSError as error:
            log.warning("quarantine can't be cleared", id=key.id, reason=str(error))

    async def kept(self, key: Key) -> bool:
        """Whether the quarantine holds the bytes of a document; False if its folder can't tell."""
        try:
            return await self._quarantine.holds(key)
        except OSError:
            return False

    async def _refetch(self, document: Document[Any], error: Corrupt) -> State | None:
        """Have a damaged document fetched again, at most REFETCHES times."""
        flight = self._in_flight.get(document.key)
        if flight is None or isinstance(flight.item, PendingAck):
            raise RuntimeError(f"{document.entry.label} is not in flight")
        if flight.refetches == REFETCHES:
            times = f"{error.reason}; it was fetched {flight.refetches + 1} times"
            return await self._set_aside(document, type(error)(error.subject, times, error.remedy))
        flight.refetches += 1
        log.warning("document damaged", document=document.entry.label, reason=error.reason)
        await self._release(document)
        try:
            self._first.put_back(flight.item)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return await self._postpone(document, error)
        return None

    async def _leave_out(self, document: Document[Any], error: Skipped) -> State:
        log.info("document left out", document=document.entry.label, reason=str(error))
        if isinstance(error, AlreadyDelivered):
            end, record = State.DUPLICATE, self._ledger.duplicates
        elif isinstance(error, Noted):
            end, record = State.SKIPPED, partial(self._note, error.notes)
        else:
            end, record = State.SKIPPED, self._ledger.skipped
        if not await self._record(record, document, error):
            return State.WAITING
        self._count(document, end)
        await self._settle(document, document.ack.ack())
        return end

    async def _note(
        self, notes: Sequence[Note], found: Sequence[tuple[Key, str]], at: float
    ) -> None:
        """Record what a document says of others, and then the document as skipped."""
        await self._ledger.note([(key, one) for key, _ in found for one in notes], at)
        await self._ledger.skipped(found, at)

    async def _postpone(self, document: Document[Any], error: SynqupError) -> State:
        """Leave a document to a later poll."""
        self._breaker.record_failure(document.key.source, error, document.company)
        log.warning("document waits", document=document.entry.label, reason=str(error))
        hints = getattr(document.entry.meta, "hints", {})
        record = partial(self._ledger.waiting, company=hints.get("company", ""))
        if await self._record(record, document, error):
            await self._wait(document)
        return State.WAITING

    async def _set_aside(self, document: Document[Any], error: SynqupError) -> State:
        """Keep a document in the quarantine; if that fails, it waits."""
        try:
            await self._quarantine.keep(document, str(error))
        except OSError as failure:
            return await self._postpone(document, retryable_os_error(document.entry.label, failure))
        except Exception as failure:  # noqa: BLE001 - whatever it is concerns this document
            reported = self._error_reporter.report("the quarantine", failure, document.entry.label)
            return await self._postpone(document, reported)
        kept = document.payload is not None
        if not await self._record(self._ledger.quarantined, document, error):
            return State.WAITING
        if (brought := await self._brought(document.key)) is not None:
            return await self._leave_to_other(document, brought)
        log.error("document quarantined", document=document.entry.label, reason=str(error))
        self._count(document, State.QUARANTINED)
        await self._settle(document, document.ack.nack(str(error), kept=kept))
        return State.QUARANTINED

    async def _brought(self, key: Key) -> State | None:
        """The state of a document that is staged or delivered, by another node; else None."""
        row = (await self._ledger.contents(key.source, [key.id])).get(key.id, {}).get(key.revision)
        return row.state if row and row.state in (State.STAGED, State.DELIVERED) else None

    async def _leave_to_other(self, document: Document[Any], brought: State) -> State:
        """End here a document that another node has brought to its end, or has in hand."""
        log.info("another node has the document", document=document.entry.label)
        try:
            await self._quarantine.remove(document.key)
        except OSError as error:
            log.warning("quarantine can't be cleared", id=document.key.id, reason=str(error))
        if brought is State.STAGED:
            await self._wait(document)
            return State.WAITING
        self._count(document, State.DUPLICATE)
        await self._settle(document, document.ack.ack())
        return State.DUPLICATE

    async def _record(
        self,
        write: Callable[[Sequence[tuple[Key, str]], float], Awaitable[None]],
        document: Document[Any],
        error: SynqupError,
    ) -> bool:
        """Record an end in the ledger; if the ledger can't take it, the document waits: False."""
        try:
            await write([(document.key, str(error))], time.time())
        except StateError:
            raise
        except Exception as bug:  # noqa: BLE001 - whatever it is concerns this document
            reported = self._error_reporter.report("the ledger", bug, document.entry.label)
            self._breaker.record_failure(document.key.source, reported)
            log.error("document waits", document=document.entry.label, reason=str(reported))
            await self._wait(document)
            return False
        return True

    async def _settle(
        self, document: Document[Any], outcome: Outcome, record: DocumentRecord | None = None
    ) -> None:
        """Release a document whose end the ledger has recorded, and have its source told."""
        await self._release(document)
        await self.clear_quarantine(document.key, outcome)
        pending = PendingAck(
            document.key, document.ack.source, outcome, record, company=document.company
        )
        if document.ack.source.traits.in_order:
            # The list stage acknowledges it, which knows what else the acknowledgement is of.
            self._journal.told([pending], time.time(), acknowledged=False)
            self._in_flight.remove(document.key)
            return
        self._acknowledger.put(pending)

    async def _wait(self, document: Document[Any]) -> None:
        """Release a document that a later poll lists again."""
        self._count(document, State.WAITING)
        await self._release(document)
        self._in_flight.remove(document.key)

    async def _release(self, document: Document[Any]) -> None:
        try:
            await document.release()
        except Exception as error:  # noqa: BLE001 - the next start removes the file
            self._error_reporter.report("temporary files", error, document.entry.label)

    def _count(self, document: Document[Any], end: State) -> None:
        size = document.payload.size if document.payload else 0
        self._counters.count(document.key.source, end, size)
