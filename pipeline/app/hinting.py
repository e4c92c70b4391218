"""Hinting: listens to what a source says of new documents, for as long as it is polled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

import anyio
import structlog

from pipeline.app.wiring import Application
from pipeline.source import Source

log = structlog.get_logger(__name__)


async def heed_hints(
    source: Source,
    application: Application,
    interval: Callable[[], float],
    heard: Callable[[], None],
) -> None:
    """Call `heard` for each hint of a source, until cancelled.

    interval: seconds after which the hints are begun anew where they have ended, or failed.
    """
    while True:
        try:
            async with aclosing(source.hints()) as hints:
                async for _ in hints:
                    heard()
        except Exception as failure:  # noqa: BLE001 - it is polled without hints as well
            place = f"source {source.name}, hints"
            reason = application.error_reporter.report(place, failure)
            log.warning("no hints for now", source=source.name, reason=str(reason))
        await anyio.sleep(interval())
