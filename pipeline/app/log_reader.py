"""Log reader: the lines of all files of the log in their order, and those that are being added."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pipeline.app.log_files import NAME, last_line_at, open_log, put_away_files, stamp_of
from pipeline.config.types import Duration

#: Levels from the least to the most serious.
LEVELS = ("debug", "info", "warning", "error", "critical")
#: Bytes of one line, at most; a longer one is read in parts, which are shown as they are.
MAX_LINE = 1_000_000
#: Bytes that are read at once of a file that grows.
MAX_PART = 4_000_000
#: The fields by which documents and companies are found.
DOCUMENT_FIELDS = ("document", "id", "path", "sha256", "sent_sha256", "reason")
COMPANY_FIELDS = ("company", "document", "path", "reason")

_decoder = msgspec.json.Decoder(dict[str, Any])


class LogFilter(Struct, frozen=True):
    """Which lines are wanted; what is empty restricts nothing.

    level: the least serious one. since: a time stamp, as in the log. company: texts of which one
    has to stand in a line that concerns a company. document: a text of its label, id, path or
    checksum.
    """

    level: str = ""
    since: str = ""
    company: Sequence[str] = ()
    document: str = ""

    def wants(self, line: dict[str, Any]) -> bool:
        """Whether a line is wanted."""
        if self.level and _rank(line.get("level")) < _rank(self.level):
            return False
        if self.since and str(line.get("timestamp", "")) < self.since:
            return False
        if self.document and not _holds(line, DOCUMENT_FIELDS, self.document):
            return False
        return not self.company or any(_holds(line, COMPANY_FIELDS, one) for one in self.company)


class LogReader:
    """Reads the log from its beginning, and what is added later, across files that are begun.

    A file is open while it is being read only: Windows renames none that is open.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: set[str] = set()
        #: The file that was being written at the last look, and how much of it has been read.
        self._file: tuple[int, int] | None = None
        self._offset = 0

    def lines(self, wanted: LogFilter) -> Iterator[dict[str, Any]]:
        """Yield the lines that are wanted, of those that no earlier call has read.

        Nothing if there is no log so far. Raises OSError.
        """
        while True:
            while left := [one for one in put_away_files(self._folder) if self._is_new(one)]:
                yield from self._put_away(left[0], wanted)
            if not (lines := self._added()):
                return
            yield from _wanted(lines, wanted)

    def _is_new(self, path: Path) -> bool:
        return stamp_of(path) not in self._read

    def _put_away(self, path: Path, wanted: LogFilter) -> Iterator[dict[str, Any]]:
        """The lines of a file that was put away; the first was being written at the last look."""
        self._read.add(stamp_of(path))
        offset, self._offset, self._file = self._offset, 0, None
        if wanted.since and last_line_at(path) < wanted.since[:19]:
            return
        for name in (path, path.with_name(f"{path.name}.gz")):
            # What is broken, or removed in this moment, is left out; it may just be compressed.
            with suppress(FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error):
                with open_log(name) as file:
                    file.seek(offset)
                    while line := file.readline(MAX_LINE):
                        yield from _wanted([line], wanted)
                return

    def _added(self) -> list[bytes]:
        """The whole lines that were added to the file that is being written; some of them."""
        try:
            with (self._folder / NAME).open("rb") as file:
                found = os.fstat(file.fileno())
                if self._file != (found.st_dev, found.st_ino) or found.st_size < self._offset:
                    self._file, self._offset = (found.st_dev, found.st_ino), 0
                file.seek(self._offset)
                data = file.read(MAX_PART)
        except FileNotFoundError:
            return []
        if any(map(self._is_new, put_away_files(self._folder))):
            return []  # It may be another file by now: what was put away comes first.
        whole = data[: data.rfind(b"\n") + 1] or (data if len(data) == MAX_PART else b"")
        self._offset += len(whole)
        return whole.splitlines()


def since(text: str, now: datetime) -> str:
    """The time stamp, as in the log, of a moment as people write it. Raises ValueError.

    text: a duration before now ("2h", "3d"), "today", "yesterday", or a date and perhaps a time
    of this machine's zone ("2026-11-25", "2026-11-25 14:30").
    """
    text = text.strip()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday"):
        moment = midnight - timedelta(days=text == "yesterday")
    elif re.fullmatch(r"[\d.]+ ?[a-z]", text):
        moment = now - timedelta(seconds=Duration.parse(text))
    else:
        moment = datetime.fromisoformat(text)
    # A moment without a zone is of this machine's.
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _wanted(lines: Sequence[bytes], wanted: LogFilter) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            found = _decoder.decode(line)
        except msgspec.DecodeError:
            if not line.strip():
                continue
            found = {"event": line.decode("utf-8", "replace").rstrip()}
        if wanted.wants(found):
            yield found


def _holds(line: dict[str, Any], fields: Sequence[str], text: str) -> bool:
    """Whether one of the fields holds a text, in small or capital letters."""
    return any(text.casefold() in str(line[name]).casefold() for name in fields if name in line)


def _rank(level: object) -> int:
    """The rank of a level; a line without one is shown whatever is asked for."""
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def recent_lines(folder: Path, most: int) -> Iterator[bytes]:
    """Yield the last lines of the log, of `most` bytes in all, in their order. Raises OSError."""
    chosen: deque[bytes] = deque()
    size, is_full = 0, False
    for path in (folder / NAME, *reversed(put_away_files(folder))):
        with suppress(FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error):
            with open_log(path) as file:
                lines: deque[bytes] = deque()
                kept = 0
                while line := file.readline(MAX_LINE):
                    lines.append(line)
                    kept += len(line)
                    while kept > most - size:
                        kept -= len(lines.popleft())
                        is_full = True
            chosen.extendleft(reversed(lines))
            size += kept
        if is_full:
            break
    yield from chosen
