"""Watches the configuration file and yields each valid edit of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog
from watchfiles import awatch

from pipeline.errors import ConfigurationError

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Milliseconds of quiet after which an edit counts as saved.
DEBOUNCE = 200
#: Milliseconds after which the file is looked at all the same: network drives tell nothing, nor
#: does a folder that another one has replaced.
CHECK_INTERVAL = 2000


async def watch_config(
    path: Path, load: Callable[[Path], T], current: T, stop: anyio.Event | None = None
) -> AsyncIterator[T]:
    """Yield what the file says after each edit that changes it to something valid.

    The folder is watched, not the file: editors save by putting another file in its place. An
    invalid or half-saved file changes nothing and is reported once, until it says something else.
    stop: tells that this will be cancelled, which would otherwise wait for the next look.
    """
    reported = ""
    async for _ in _changes(path, stop):
        try:
            loaded = await anyio.to_thread.run_sync(load, path, abandon_on_cancel=True)
        except ConfigurationError as error:
            if str(error) != reported:
                reported = str(error)
                log.error("configuration not applied", problems=reported)
            continue
        reported = ""
        if loaded != current:
            current = loaded
            yield loaded


async def _changes(path: Path, stop: anyio.Event | None) -> AsyncGenerator[None]:
    """Yield when the file may have changed; its folder may go and come, or be replaced.

    Where the system does not watch the folder, the file is looked at by and by.
    """

    def ours(_: object, changed: str) -> bool:
        return Path(changed).name == path.name

    # Nothing has been seen: an edit may have come between the start and the first look.
    seen: tuple[int, ...] = ()
    told = False
    while True:
        folder = await _state(path.parent)
        watch = awatch(
            path.parent,
            watch_filter=ours,
            debounce=DEBOUNCE,
            recursive=False,
            rust_timeout=CHECK_INTERVAL,
            yield_on_timeout=True,
            stop_event=stop,
        )
        try:
            async with aclosing(watch) as news:
                async for changes in news:
                    told = False
                    state = await _state(path)
                    if changes or state != seen:
                        seen = state
                        yield
                    if (await _state(path.parent))[:2] != folder[:2]:
                        break
        except Exception as error:  # noqa: BLE001 - whatever the watch dies of, the file is there
            if folder and not told:
                told = True
                log.warning(
                    "configuration is looked at by and by, for its folder can't be watched",
                    seconds=CHECK_INTERVAL / 1000,
                    reason=str(error),
                )
        # The folder is missing, is not the one that was watched, or can't be watched.
        state = await _state(path)
        if state != seen:
            seen = state
            yield
        await anyio.sleep(CHECK_INTERVAL / 1000)


async def _state(path: Path) -> tuple[int, ...]:
    """What changes when the file does: its identity first; empty while there is none."""
    return await anyio.to_thread.run_sync(_stat, path, abandon_on_cancel=True)


def _stat(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
