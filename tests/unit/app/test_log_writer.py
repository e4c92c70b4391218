"""Whoever logs waits for nothing, and what is missing in the log is counted in it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pipeline.app import log_writer
from pipeline.app.log_writer import LogWriter
from tests.helpers.logs import a_record

HANG = 30.0


class Disk:
    """A file in memory that hangs, refuses or breaks when told to."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.works = threading.Event()
        self.works.set()
        self.in_write = threading.Event()
        self.refuses = False
        self.broken = False

    def open(self) -> None: ...

    def write(self, lines: Sequence[bytes]) -> int:
        self.in_write.set()
        assert self.works.wait(HANG)
        if self.broken:
            raise ZeroDivisionError
        if self.refuses:
            return len(lines)
        self.lines += lines
        return 0

    def tidy(self) -> None: ...

    def close(self) -> None: ...

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@contextmanager
def writing(disk: Disk) -> Iterator[LogWriter]:
    writer = LogWriter(disk)
    try:
        yield writer
    finally:
        disk.works.set()
        writer.close()


def line(number: int, size: int = 0) -> bytes:
    return json.dumps({"n": number, "more": "x" * size}).encode() + b"\n"


def test_lines_and_records_keep_their_order() -> None:
    disk = Disk()
    with writing(disk) as writer:
        for number in range(100):
            writer.line(line(number))
            writer.record([a_record(id_=str(number))])
        assert writer.flush()
    told = disk.told()
    assert [one["n"] for one in told[::2]] == list(range(100))
    assert [one["id"] for one in told[1::2]] == [str(number) for number in range(100)]
    assert told[1]["event"] == "document delivered"
    assert told[1]["timestamp"].endswith("Z")


def test_a_disk_that_hangs_keeps_nobody_waiting_and_what_is_missing_is_counted() -> None:
    disk = Disk()
    with writing(disk) as writer:
        disk.works.clear()
        writer.line(line(0))
        assert disk.in_write.wait(HANG)
        size = log_writer.BOUND // 100
        for number in range(1, 300):
            writer.line(line(number, size))
        assert not writer.flush(timeout=0.01)
        disk.works.set()
        assert writer.flush(HANG)
    told = disk.told()
    (missing,) = [one for one in told if one.get("event") == "log lines are missing"]
    kept = [one for one in told if "n" in one]
    assert [one["n"] for one in kept] == list(range(len(kept)))
    assert 90 <= len(kept) <= 102
    assert missing["lines"] == 300 - len(kept)
    assert missing["level"] == "warning"


@pytest.mark.parametrize("trouble", ["refuses", "broken"])
def test_lines_that_a_disk_refuses_are_counted_once(trouble: str) -> None:
    disk = Disk()
    with writing(disk) as writer:
        setattr(disk, trouble, True)
        for number in range(5):
            writer.line(line(number))
            assert writer.flush()
        setattr(disk, trouble, False)
        writer.line(line(5))
        assert writer.flush()
        writer.line(line(6))
        assert writer.flush()
    told = disk.told()
    assert [one.get("n", one.get("lines")) for one in told] == [5, 5, 6]


def test_a_line_of_any_size_is_written_and_the_next_ones_as_well() -> None:
    disk = Disk()
    with writing(disk) as writer:
        writer.line(line(1, log_writer.BOUND * 2))
        assert writer.flush()
        writer.line(line(2))
        assert writer.flush()
    assert [one["n"] for one in disk.told()] == [1, 2]


def test_the_end_waits_for_the_last_lines_but_not_for_a_disk_that_hangs() -> None:
    disk = Disk()
    writer = LogWriter(disk)
    writer.line(line(1))
    writer.close()
    assert [one["n"] for one in disk.told()] == [1]
    hanging = Disk()
    hanging.works.clear()
    writer = LogWriter(hanging)
    writer.line(line(1))
    writer.close(timeout=0.01)
    hanging.works.set()


@given(st.text(), st.text())
def test_no_text_of_a_document_breaks_a_line(label: str, id_: str) -> None:
    record = a_record(label, at=1.0, id_=id_)
    record.path = Path("/books") / "x\u202e\x9b.xml"
    written = log_writer._encoded(record).decode()
    assert written.endswith("\n")
    assert written[:-1].isprintable()
    told = json.loads(written)
    assert told["event"] == "document delivered"
    assert told["sha256"] == record.sha256
    if id_.isprintable() and len(id_) < 1000:
        assert told["id"] == id_
