"""Configuration watcher: yields each valid edit of the configuration file and of what it includes.

The operating system reports changes (inotify and the like). Where it does not, and for network
drives, the file is polled every two seconds. An edit is never missed for good, only late.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog
from watchfiles import awatch

from pipeline.config.include import config_files
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
    """Yield when a file of the configuration may have changed.

    Which files those are is looked up after each change. Their folders may disappear, return, or be
    replaced. Where one can't be watched, the files are polled.
    """
    # Empty, so that an edit between the load at the start and the first check is found.
    last: dict[Path, tuple[int, ...]] = {}
    is_reported = False
    while True:
        files = await _files(path)
        names = {file.name for file in files}
        folders = await _folders(files)
        watch = awatch(
            # The folder of an included file need not exist; until it does, the file is polled.
            *(folder for folder, found in folders.items() if found or folder == path.parent),
            watch_filter=partial(_is_named, names),
            debounce=DEBOUNCE,
            recursive=False,
            rust_timeout=CHECK_INTERVAL,
            yield_on_timeout=True,
            stop_event=stop,
        )
        are_others = False
        try:
            async with aclosing(watch) as reports:
                async for changes in reports:
                    is_reported = False
                    found = {file: await _stat_key(file) for file in files}
                    if changes or found != last:
                        last = found
                        yield
                        are_others = await _files(path) != files
                    if are_others or await _folders(files) != folders:
                        break
        except Exception as error:  # noqa: BLE001 - whatever stops the watch, the file can be polled
            if folders[path.parent] and not is_reported:
                is_reported = True
                log.warning(
                    "configuration is polled because its folder can't be watched",
                    seconds=CHECK_INTERVAL / 1000,
                    reason=str(error),
                )
        # A folder is missing, was replaced, or can't be watched; or other files are included now.
        found = {file: await _stat_key(file) for file in await _files(path)}
        if found != last:
            last = found
            yield
        if not are_others:
            await anyio.sleep(CHECK_INTERVAL / 1000)


def _is_named(names: Collection[str], _: object, changed: str) -> bool:
    return Path(changed).name in names


async def _files(path: Path) -> Sequence[Path]:
    """The file, by this very path, and those that it includes."""
    _, *included = await anyio.to_thread.run_sync(config_files, path, abandon_on_cancel=True)
    return (path, *included)


async def _folders(files: Iterable[Path]) -> dict[Path, tuple[int, ...]]:
    """The folders of files, each with what tells it from another one of that name."""
    return {folder: (await _stat_key(folder))[:2] for folder in {file.parent for file in files}}


async def _stat_key(path: Path) -> tuple[int, ...]:
    """Device, inode, size and time of a file, which change when it does; empty if it is missing."""
    return await anyio.to_thread.run_sync(_stat, path, abandon_on_cancel=True)


def _stat(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
