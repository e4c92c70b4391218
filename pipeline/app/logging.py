"""Logging configuration: readable lines on standard error, and lines of JSON in a file.

Guarantees: a log that can't be written, or whose disk hangs, never stops the program nor keeps it
waiting; and each event is one line without control characters, whatever text a document or a server
has brought.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import stamina.instrumentation
import structlog
from structlog.typing import EventDict

from pipeline.app.log_file import LogFile
from pipeline.app.log_writer import LogWriter
from pipeline.config.types import ServiceSettings
from pipeline.records import DocumentRecord
from pipeline.text import first_few, printable_lines, sanitized, truncated

#: Characters of a traceback that are logged.
MAX_TRACEBACK = 100_000
#: The loggers of synqup's own modules; those of libraries log warnings only.
OWN = ("pipeline", "stages")


class ProgramLog:
    """The log of the running program.

    writer: of the file; None where there is none.
    """

    def __init__(self, file: LogFile | None = None, writer: LogWriter | None = None) -> None:
        self._file = file
        self._writer = writer
        self._records = True

    def apply(self, service: ServiceSettings) -> None:
        """Apply edited settings."""
        if self._file is not None:
            self._records = _set_level(service) <= logging.INFO
            self._file.settings = service

    def record(self, records: Sequence[DocumentRecord]) -> None:
        """Write the lines of delivered documents to the file, and to nothing else; never waits."""
        if self._records and self._writer is not None:
            self._writer.record(records)

    def flush(self) -> None:
        """Wait for at most CLOSE_TIMEOUT until the file holds all that was logged."""
        if self._writer is not None:
            self._writer.flush()


def configure_logging(
    folder: Path | None, service: ServiceSettings | None = None, *, quiet: bool = False
) -> ProgramLog:
    """Log to standard error, unless quiet, and to synqup.log in a folder, if one is given.

    service: how much is logged, and how long and how much of it is kept. Where the file can't be
    written, standard error says so once, and the program goes on.
    """
    service = service or ServiceSettings(Path())
    _silence_retries()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=True,
    )
    handlers: list[logging.Handler] = []
    if not quiet:
        console = _console()
        console.setFormatter(_formatter(shared, structlog.processors.LogfmtRenderer()))
        handlers.append(console)
    file = writer = None
    if folder is not None:
        file = LogFile(folder, service)
        writer = LogWriter(file)
        queue = QueueHandler(writer)
        queue.setFormatter(_formatter(shared, structlog.processors.JSONRenderer()))
        handlers.append(queue)
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    _set_level(service)
    program_log = ProgramLog(file, writer)
    program_log.apply(service)
    return program_log


class QueueHandler(logging.Handler):
    """Log handler that leaves the lines to a log writer; whoever logs does not wait for it."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        # What a line is made of may change, or must not be kept alive: it is made here.
        self._writer.line(self.format(record).encode("utf-8", "replace") + b"\n")

    def close(self) -> None:
        """Wait for at most CLOSE_TIMEOUT until the lines are written."""
        self._writer.close()
        super().close()


class _ErrorFile:
    """Standard error as a file: its disk may hang like any other."""

    def open(self) -> None:
        pass

    def write(self, lines: Sequence[bytes]) -> int:
        sys.stderr.write(b"".join(lines).decode("utf-8", "replace"))
        return 0

    def tidy(self) -> None:
        sys.stderr.flush()

    def close(self) -> None:
        pass


def _console() -> logging.Handler:
    """The handler of standard error; a pipe or a terminal there is bounded by itself (streams)."""
    with suppress(OSError, ValueError):
        if stat.S_ISREG(os.fstat(sys.stderr.fileno()).st_mode):
            return QueueHandler(LogWriter(_ErrorFile()))
    return logging.StreamHandler(sys.stderr)


def _set_level(service: ServiceSettings) -> int:
    level = logging.getLevelNamesMapping()[service.log_level.upper()]
    for name in OWN:
        logging.getLogger(name).setLevel(level)
    return level


def _silence_retries() -> None:
    """Have stamina log no retry: a failure is logged once, when the retries are given up."""
    stamina.instrumentation.set_on_retry_hooks([])


def _one_line(_: object, __: str, event: EventDict) -> EventDict:
    """Make text from outside fit into one line, so that no document can forge another line."""
    return {
        key: printable_lines(truncated(value, MAX_TRACEBACK))
        if key == "exception"
        else _shown(value)
        for key, value in event.items()
    }


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return sanitized(value)
    if isinstance(value, list | tuple | set | frozenset):
        return first_few([str(item) for item in value])
    if value is None or isinstance(value, int | float):
        return value
    return sanitized(str(value))


def _formatter(
    shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor
) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _one_line,
            renderer,
        ],
    )
