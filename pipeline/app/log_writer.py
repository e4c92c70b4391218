"""Log writer: a bounded queue of lines, and the one thread that writes them.

Whoever logs never waits: neither for a slow disk nor for one that hangs. Lines that find no room
are left out, and the log says how many as soon as it can be written again. What is queued when the
process is killed is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from pipeline.records import DocumentRecord
from pipeline.text import sanitized

#: Bytes of lines that wait, at most; each record counts as RECORD bytes.
BOUND = 8_000_000
RECORD = 1000
#: Seconds that lines may wait for others, so that the thread is not woken for each of them.
LINGER = 0.05
#: Seconds without a line after which files are tidied up all the same.
IDLE = 600.0
#: Seconds that the end of the process waits for the last lines.
CLOSE_TIMEOUT = 5.0

_encoder = msgspec.json.Encoder(enc_hook=str)


class LineFile(Protocol):
    """What lines are written to, by the thread alone."""

    def open(self) -> None:
        """Prepare for lines."""

    def write(self, lines: Sequence[bytes]) -> int:
        """Append lines, each with its line feed; how many could not be written."""

    def tidy(self) -> None:
        """Remove what is not to be kept any more."""

    def close(self) -> None:
        """Close it; a later write() opens it again."""


class LogWriter:
    """Writes lines and records to a file, in their order, by a thread of its own.

    All methods may be called by any thread.
    """

    def __init__(self, file: LineFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._written = threading.Condition(self._lock)
        self._waiting: list[bytes | DocumentRecord] = []
        self._size = 0
        #: Lines that found no room, or could not be written, since the log last said so.
        self._missing = 0
        #: How many lines were put, and how many of them the thread is done with.
        self._put = self._done = 0
        self._flushing = self._closing = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def line(self, line: bytes) -> None:
        """Queue a line, which ends with a line feed."""
        self._queue((line,), len(line))

    def record(self, records: Sequence[DocumentRecord]) -> None:
        """Queue records, whose lines are made by the thread."""
        self._queue(records, RECORD * len(records))

    def flush(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Wait until what was queued is written, or lost; False if that takes longer."""
        with self._lock:
            until, self._flushing = self._put, True
            self._wake.set()
            return self._written.wait_for(lambda: self._done >= until, timeout)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Write what was queued, and end the thread; one that hangs is left behind."""
        self._closing = True
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _queue(self, items: Sequence[bytes | DocumentRecord], size: int) -> None:
        with self._lock:
            if self._size + size > BOUND and self._waiting:
                self._missing += len(items)
                return
            self._waiting.extend(items)
            self._size += size
            self._put += len(items)
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        with suppress(Exception):
            self._file.open()
        while True:
            self._wake.wait(IDLE)
            if not (self._flushing or self._closing):
                time.sleep(LINGER)
            # Before the lines are taken: what is put from now on wakes it once more.
            self._wake.clear()
            ends = self._closing
            with self._lock:
                taken, self._waiting, self._size = self._waiting, [], 0
                missing, self._missing, self._flushing = self._missing, 0, False
            missing += self._write([_encoded(one) for one in taken])
            if missing and not self._write([_missing_line(missing)]):
                missing = 0
            with self._lock:
                self._missing += missing
                self._done += len(taken)
                self._written.notify_all()
            if ends:
                self._file.close()
                return

    def _write(self, lines: list[bytes]) -> int:
        # Whatever happens, the thread lives on, for its queue would fill otherwise.
        try:
            lost = self._file.write(lines) if lines else 0
            self._file.tidy()
        except Exception:  # noqa: BLE001 - there is no log to tell it
            return len(lines)
        return lost


def _encoded(item: bytes | DocumentRecord) -> bytes:
    """The line of an item."""
    if isinstance(item, bytes):
        return item
    assert isinstance(item.timestamp, float)
    item.timestamp = datetime.fromtimestamp(item.timestamp, UTC)
    with suppress(UnicodeEncodeError):
        line = _encoder.encode(item)
        if (line.isascii() and b"\x7f" not in line) or line.decode().isprintable():
            return line + b"\n"
    shown: dict[str, Any] = {
        name: sanitized(str(value)) if isinstance(value, str) else value
        for name, value in msgspec.to_builtins(item, enc_hook=str).items()
    }
    return _encoder.encode(shown) + b"\n"


def _missing_line(missing: int) -> bytes:
    """The line that says how many lines are missing."""
    said = {
        "timestamp": datetime.now(UTC),
        "level": "warning",
        "event": "log lines are missing",
        "lines": missing,
        "reason": "the disk of the log did not keep up; no document has waited for it",
    }
    return _encoder.encode(said) + b"\n"
