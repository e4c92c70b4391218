"""The journal tells of each delivered document once, and of each poll that brought something."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.dispatcher import PendingAck
from pipeline.document import Ack, Document, Key
from pipeline.engine.counters import RunCounters
from pipeline.engine.journal import Journal
from pipeline.errors import SourceError
from pipeline.ledger.models import State
from pipeline.payload import Payload
from pipeline.records import DeliveredTo, DocumentRecord
from pipeline.source import Entry
from tests.helpers.farm import Farm

SENT, FILE = (hashlib.sha256(data).hexdigest() for data in (b"sent", b"file"))


def document(meta: Any, fetched: str = SENT) -> Document[Any]:
    source = Farm(1)
    entry = Entry("7", "", "invoice 7", None)
    payload = Payload(4, FILE, b"file")
    return Document(
        Key("farm", "7", ""), entry, Ack(source, "7"), 100.0, meta, payload, fetched=fetched
    )


def pending(one: Document[Any], record: DocumentRecord | None) -> PendingAck:
    return PendingAck(one.key, one.ack.source, one.ack.ack(), record)


TO = DeliveredTo(Path("/books/7.xml"), "BE0403170701", "sales")


@pytest.mark.parametrize(("at", "seconds"), [(102.5, 2.5), (50.0, 0.0)])
def test_a_record_says_what_was_delivered_where(at: float, seconds: float) -> None:
    records: list[DocumentRecord] = []
    journal = Journal(RunCounters(), records.extend)
    one = document(TO)
    batch = [pending(one, journal.record_of(one)), pending(one, None)]
    journal.told(batch, at)
    (record,) = records
    assert record == DocumentRecord(
        *(at, "info", "farm", "7", "invoice 7", "BE0403170701", "sales", TO.path, FILE),
        sent_sha256=SENT,
        seconds=seconds,
    )


def test_what_the_source_sent_is_named_where_the_file_is_another() -> None:
    one = document(TO, fetched=FILE)
    record = Journal(RunCounters()).record_of(one)
    assert record is not None
    assert record.sent_sha256 == ""


def test_stages_that_deliver_nowhere_have_no_records() -> None:
    assert Journal(RunCounters()).record_of(document("anything")) is None


def polls(logs: list[Any]) -> list[Any]:
    return [log for log in logs if log["event"] == "poll brought documents"]


def test_a_poll_that_brought_something_has_a_line_and_no_other() -> None:
    counters = RunCounters()
    journal = Journal(counters)
    with capture_logs() as logs:
        with journal.polling("one"):
            pass
        with journal.polling("one"):
            for end in (State.DELIVERED, State.DELIVERED, State.WAITING):
                counters.count("one", end, 1)
            counters.count("two", State.QUARANTINED, 1)
        with pytest.raises(SourceError), journal.polling("two"):
            raise SourceError("two")
        # What ends after its poll has ended, because that failed, is told at the end.
        counters.count("two", State.DUPLICATE, 1)
        journal.close()
        journal.close()
    first, second, third = polls(logs)
    assert first["source"] == "one"
    assert (first["delivered"], first["waiting"]) == (2, 1)
    assert first["seconds"] >= 0
    assert (second["source"], second["quarantined"]) == ("two", 1)
    assert (third["source"], third["duplicate"]) == ("two", 1)
