"""Logging configuration: readable lines on standard error, and lines of JSON in a file.

Guarantees: a log that can't be written never stops the program; and each event is one line without
control characters, whatever text a document or a server has brought.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import Any

import stamina.instrumentation
import structlog
from structlog.typing import EventDict

from pipeline.files import os_reason
from pipeline.text import first_few, printable_lines, sanitized, truncated

#: Days for which the files, one for each day, are kept.
DAYS = 30
#: Characters of a traceback that are logged.
MAX_TRACEBACK = 100_000


def configure_logging(folder: Path | None, *, quiet: bool = False) -> None:
    """Log to standard error, unless quiet, and to synqup.log in a folder, if one is given.

    Where that file can't be written, standard error says so once, and the program goes on.
    """
    _silence_retries()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handlers: list[logging.Handler] = []
    if not quiet:
        console = logging.StreamHandler(sys.stderr)
        console.setFormatter(_formatter(shared, structlog.processors.LogfmtRenderer()))
        handlers.append(console)
    if folder is not None:
        file = LogFile(folder / "synqup.log")
        file.setFormatter(_formatter(shared, structlog.processors.JSONRenderer()))
        handlers.append(file)
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    for name in ("pipeline", "stages"):
        logging.getLogger(name).setLevel(logging.INFO)


class LogFile(TimedRotatingFileHandler):
    """Log file with one file for each day, which reopens itself.

    The file is opened again after each error, and when another program has moved or removed it. An
    error is said once on standard error and never raised: logging must not stop the program.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, when="midnight", backupCount=DAYS, encoding="utf-8", utc=True, delay=True
        )
        self._path = path
        self._opened: os.stat_result | None = None
        self._is_failing = False
        self._attempt(self._ensure_open)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or say once that the log can't be written."""
        self._attempt(lambda: self._write(record))

    def doRollover(self) -> None:  # noqa: N802 - as logging calls it
        """Begin the file of another day; where yesterday's can't be moved, go on with that one."""
        try:
            super().doRollover()
        except OSError:
            self.rolloverAt = self.computeRollover(int(time.time()))

    def _write(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if self.shouldRollover(record):
            self.doRollover()
        stream = self._ensure_open()
        stream.write(f"{line}\n")
        stream.flush()

    def _ensure_open(self) -> TextIOWrapper:
        if self.stream is not None and not self._is_current():
            self._drop_stream()
        if self.stream is None:
            # Its parents are not made: another state folder must not replace one that has gone.
            self._path.parent.mkdir(mode=0o750, exist_ok=True)
            self.stream = self._open()
            self._opened = os.fstat(self.stream.fileno())
        return self.stream

    def _is_current(self) -> bool:
        try:
            return self._opened is not None and os.path.samestat(self._opened, self._path.stat())
        except OSError:
            return False

    def _attempt(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            self._drop_stream()
            if not self._is_failing:
                self._is_failing = True
                said = (
                    f"the log can't be written and is left out: {os_reason(error)} ({self._path})"
                )
                print(f"synqup: {sanitized(said)}.", file=sys.stderr, flush=True)
        else:
            self._is_failing = False

    def _drop_stream(self) -> None:
        """Close the file, and drop what could not be written to it."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()


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
