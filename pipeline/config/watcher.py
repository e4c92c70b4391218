"""Configuration watcher: yields each valid edit of the configuration file.

The operating system reports changes (inotify and the like). Where it does not, and for network
drives, the file is polled every two seconds. An edit is never missed for good, only late.
"""

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

#: Milliseconds without a change after which an edit counts as saved.
DEBOUNCE = 200
#: Milliseconds between two checks of the file when nothing is reported: network drives report
#: nothing, nor does a folder that was replaced by another.
CHECK_INTERVAL = 2000


async def watch_config(
    path: Path, load: Callable[[Path], T], current: T, stop: anyio.Event | None = None
) -> AsyncIterator[T]:
    """Yield the loaded configuration after each edit that changes it to a valid one.

    load: raises ConfigurationError for an invalid file, which is logged once for each set of
    problems and otherwise ignored. current: the configuration in use. stop: set before this is
    cancelled; without it a cancellation waits for the next check. The folder is watched, not the
    file, because editors save by replacing the file.
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
    """Yield when the file may have changed; its folder may disappear, return, or be replaced.

    Where the folder can't be watched, the file is polled.
    """

    def is_config(_: object, changed: str) -> bool:
        return Path(changed).name == path.name

    # Empty, so that an edit between the load at the start and the first check is found.
    last: tuple[int, ...] = ()
    is_reported = False
    while True:
        folder = await _stat_key(path.parent)
        watch = awatch(
            path.parent,
            watch_filter=is_config,
            debounce=DEBOUNCE,
            recursive=False,
            rust_timeout=CHECK_INTERVAL,
            yield_on_timeout=True,
            stop_event=stop,
        )
        try:
            async with aclosing(watch) as reports:
                async for changes in reports:
                    is_reported = False
                    found = await _stat_key(path)
                    if changes or found != last:
                        last = found
                        yield
                    if (await _stat_key(path.parent))[:2] != folder[:2]:
                        break
        except Exception as error:  # noqa: BLE001 - whatever stops the watch, the file can be polled
            if folder and not is_reported:
                is_reported = True
                log.warning(
                    "configuration is polled because its folder can't be watched",
                    seconds=CHECK_INTERVAL / 1000,
                    reason=str(error),
                )
        # The folder is missing, was replaced, or can't be watched.
        found = await _stat_key(path)
        if found != last:
            last = found
            yield
        await anyio.sleep(CHECK_INTERVAL / 1000)


async def _stat_key(path: Path) -> tuple[int, ...]:
    """Device, inode, size and time of a file, which change when it does; empty if it is missing."""
    return await anyio.to_thread.run_sync(_stat, path, abandon_on_cancel=True)


def _stat(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
