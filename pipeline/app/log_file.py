"""Log file: appends lines to `synqup.log`, begins another one each day, and bounds their size.

One thread writes it (log_writer.py). An error never stops the program: it is said once on standard
error, and the file is opened again for the next lines, also when another program has moved or
removed it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from io import FileIO
from itertools import accumulate
from pathlib import Path

from pipeline.app.log_files import NAME, put_away, tidy
from pipeline.config.types import ServiceSettings
from pipeline.durable import BINARY
from pipeline.files import os_reason
from pipeline.text import sanitized

#: Bytes that are written at once.
CHUNK = 256 * 1024
#: Which part of max_log_size one file has at most.
SHARE = 8
#: Seconds between two looks for files to remove, if none is put away meanwhile.
TIDY_INTERVAL = 3600.0
#: Seconds in a day of the log, which ends at midnight UTC.
DAY = 86_400


class LogFile:
    """The file of a folder to which lines are appended. Used by one thread at a time.

    settings: keep_log and max_log_size of it are respected; it may be replaced at any time.
    """

    def __init__(self, folder: Path, settings: ServiceSettings) -> None:
        self.settings = settings
        self._folder = folder
        self._path = folder / NAME
        self._stream: FileIO | None = None
        self._opened: os.stat_result | None = None
        self._size = 0
        self._day = 0
        self._is_failing = False
        self._tidy_at = 0.0
        #: Bytes of the lines at hand that have been written.
        self._written = 0

    def write(self, lines: Sequence[bytes]) -> int:
        """Append lines, each with its line feed; how many of them could not be written."""
        lost = 0
        for some in _chunks(lines):
            self._written = 0
            if not self._attempt(partial(self._append, b"".join(some))):
                ends = accumulate(map(len, some))
                lost += sum(end > self._written for end in ends)
        return lost

    def open(self) -> None:
        """Open the file, so that a folder that can't be used is told of before the first line."""
        self._attempt(self._ensure_open)

    def tidy(self) -> None:
        """Remove what is too old or too much, if it was not done within TIDY_INTERVAL."""
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_INTERVAL
            most = self.settings.max_log_size
            tidy(self._folder, self.settings.keep_log, most - most // SHARE)

    def close(self) -> None:
        """Close the file; a later write() opens it again."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()

    def _append(self, data: bytes) -> None:
        stream = self._ensure_open()
        if self._is_over(len(data)):
            self._put_away()
            stream = self._ensure_open()
        while self._written < len(data):
            written = stream.write(data[self._written :])
            self._written += written
            self._size += written
        self._day = _today()

    def _is_over(self, more: int) -> bool:
        """Whether another file is to begin before so many bytes more."""
        if not self._size:
            return False
        return self._day != _today() or self._size + more > self.settings.max_log_size // SHARE

    def _put_away(self) -> None:
        """Begin another file; where this one can't be renamed, go on with it."""
        self.close()
        try:
            put_away(self._path)
        except OSError:
            self._ensure_open()
            # It is tried again tomorrow, or when the file has grown as much once more.
            self._size, self._day = 1, _today()
        else:
            self._tidy_at = 0.0

    def _ensure_open(self) -> FileIO:
        if self._stream is not None and not self._is_current():
            self.close()
        if self._stream is None:
            # Its parents are not made: another state folder must not replace one that has gone.
            self._folder.mkdir(mode=0o750, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | BINARY
            self._stream = FileIO(os.open(self._path, flags, 0o640), "a")
            self._opened = os.fstat(self._stream.fileno())
            self._size = self._opened.st_size
            self._day = int(self._opened.st_mtime // DAY)
            self._end_line()
        return self._stream

    def _end_line(self) -> None:
        """End a line that a crash or a full disk has left in its middle."""
        if self._stream is not None and self._size:
            with self._path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    self._stream.write(b"\n")

    def _is_current(self) -> bool:
        try:
            return self._opened is not None and os.path.samestat(self._opened, self._path.stat())
        except OSError:
            return False

    def _attempt(self, work: Callable[[], object]) -> bool:
        """Whether a piece of work was done; that it can't be is said once on standard error."""
        try:
            work()
        except OSError as error:
            self.close()
            if not self._is_failing:
                self._is_failing = True
                said = (
                    f"the log can't be written and is left out: {os_reason(error)} ({self._path})"
                )
                print(f"synqup: {sanitized(said)}.", file=sys.stderr, flush=True)
            return False
        self._is_failing = False
        return True


def _chunks(lines: Sequence[bytes]) -> list[list[bytes]]:
    """The lines in groups of about CHUNK bytes."""
    chunks: list[list[bytes]] = [[]]
    size = 0
    for line in lines:
        if size >= CHUNK:
            chunks.append([])
            size = 0
        chunks[-1].append(line)
        size += len(line)
    return chunks


def _today() -> int:
    return int(time.time() // DAY)
