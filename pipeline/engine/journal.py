"""Journal: tells the log of each delivered document, and of each poll that has brought something.

A document's record goes along with its acknowledgement, and to the sink when the source was told.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from pipeline.dispatcher import PendingAck
from pipeline.document import Document
from pipeline.engine.counters import RunCounters
from pipeline.ledger.models import State
from pipeline.records import DeliveredTo, DocumentRecord, RecordSink, ignore

log = structlog.get_logger(__name__)


class Journal:
    """The records of one engine, whose counters these are. It lives on the event loop's thread."""

    def __init__(self, counters: RunCounters, sink: RecordSink = ignore) -> None:
        self._counters = counters
        self._sinks = [sink]
        #: The ends of documents of which a line has told, by source.
        self._told: dict[str, dict[State, int]] = {}

    def attach(self, sink: RecordSink) -> None:
        """Hand the records from now on to another sink too."""
        self._sinks.append(sink)

    def record_of(self, document: Document[Any]) -> DocumentRecord | None:
        """The record of a document that has passed the last stage, if that says where it is."""
        to, payload = document.meta, document.payload
        if not isinstance(to, DeliveredTo) or payload is None:
            return None
        sent = document.fetched
        return DocumentRecord(
            document.seen_at,
            "info",
            document.key.source,
            document.key.id,
            document.entry.label,
            to.company,
            to.kind,
            to.path,
            payload.sha256,
            sent if sent != payload.sha256 else "",
        )

    def told(self, batch: Iterable[PendingAck], at: float, *, acknowledged: bool = True) -> None:
        """Write the records of documents of which the source was told, or could not be."""
        records = []
        for pending in batch:
            if (record := pending.record) is not None:
                # Until now it was the time of the listing; a clock may have been put back since.
                assert isinstance(record.timestamp, float)
                record.seconds = round(max(at - record.timestamp, 0.0), 3)
                record.timestamp = at
                record.acknowledged = acknowledged
                records.append(record)
        if records:
            for sink in self._sinks:
                sink(records)

    @contextmanager
    def polling(self, source: str) -> Iterator[None]:
        """Log what has come to its end while the block ran, or since the last line, if anything."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._tell(source, seconds=round(time.monotonic() - began, 3))

    def close(self) -> None:
        """Log what has come to its end since the last poll of each source."""
        for source in list(self._counters.sources):
            self._tell(source)

    def _tell(self, source: str, **more: float) -> None:
        if (counters := self._counters.sources.get(source)) is None:
            return
        before, ends = self._told.get(source, {}), counters.ends
        self._told[source] = ends
        new = {end.value: count - before.get(end, 0) for end, count in ends.items()}
        if any(new.values()):
            counts = {end: count for end, count in new.items() if count}
            log.info("poll brought documents", source=source, **counts, **more)
