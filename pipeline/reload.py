"""Watches the configuration file and yields each valid edit of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
import structlog
from watchfiles import awatch

from pipeline.errors import ConfigurationError

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Milliseconds of quiet after which an edit counts as saved.
SETTLE = 200


async def edits(path: Path, load: Callable[[Path], T], current: T) -> AsyncIterator[T]:
    """Yield what the file says after each edit that changes it to something valid.

    The folder is watched, not the file: editors save by putting another file in its place. An
    invalid or half-saved file changes nothing and is reported once, until it says something else.
    """
    reported = ""

    def ours(_: object, changed: str) -> bool:
        return Path(changed).name == path.name

    async for _ in awatch(path.parent, watch_filter=ours, debounce=SETTLE, recursive=False):
        try:
            loaded = await anyio.to_thread.run_sync(load, path)
        except ConfigurationError as error:
            if str(error) != reported:
                reported = str(error)
                log.error("configuration not applied", problems=reported)
            continue
        reported = ""
        if loaded != current:
            current = loaded
            yield loaded
