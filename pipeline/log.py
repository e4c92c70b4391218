"""Sets up the log: readable lines for whoever watches, JSON lines in a file for support."""

from __future__ import annotations

import logging
import sys
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path

import stamina.instrumentation
import structlog
from structlog.typing import EventDict

#: Files of one day each, kept so long.
DAYS = 30


def set_up(folder: Path | None, *, quiet: bool = False) -> None:
    """Log to standard error, unless quiet, and to synqup.log in a folder, if there is one."""
    _keep_retries_quiet()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, _one_line, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
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
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        file = TimedRotatingFileHandler(
            folder / "synqup.log", when="midnight", backupCount=DAYS, encoding="utf-8", utc=True
        )
        file.setFormatter(_formatter(shared, structlog.processors.JSONRenderer()))
        handlers.append(file)
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    for name in ("pipeline", "stages"):
        logging.getLogger(name).setLevel(logging.INFO)


def _keep_retries_quiet() -> None:
    """What goes on failing is told once, by whoever gives up, and not at each try by stamina."""
    stamina.instrumentation.set_on_retry_hooks([])


def _one_line(_: object, __: str, event: EventDict) -> EventDict:
    """Make what comes from outside fit for one line, so that no document forges another."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() else " " for c in value)
    return event


def _formatter(
    shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor
) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
