"""The long-running program: polls every source, and applies each edit of the configuration."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import structlog
from anyio.abc import TaskGroup

from pipeline.app.shutdown import Stop
from pipeline.app.wiring import Application, Config, load_config, open_application
from pipeline.config.watcher import watch_config
from pipeline.errors import RetryableError, StateError, SynqupError
from pipeline.retry import LONGEST_REST
from pipeline.source import Source

log = structlog.get_logger(__name__)

#: Seconds between the polls of a source that fails, at most, unless it asks for a longer rest.
LONGEST_PAUSE = 1800.0
#: How many times the interval between two polls it may become.
SLOWEST = 6


async def serve(path: Path, config: Config, abandon: Callable[[], object] = lambda: None) -> Stop:
    """Run until asked to stop; then drain. The configuration is that of the file at `path`.

    abandon: ends the process; called when a thread keeps it from stopping. Returns how it was
    stopped.
    """
    stop = Stop(config.service.shutdown_grace, abandon)
    with stop.heeded():
        async with open_application(config) as application, running(application, config) as service:

            async def feed() -> None:
                async with anyio.create_task_group() as group:
                    service.start(group)
                    async for edited in watch_config(path, load_config, config, stop.requested):
                        stop.grace = edited.service.shutdown_grace
                        service.apply(edited)

            stop.hurry(application.ledger.stop_retrying)
            async with application.dispatcher.running():
                await stop.feed(feed)
    log.info("stopped", dropped=stop.at_once)
    return stop


@asynccontextmanager
async def running(application: Application, config: Config) -> AsyncIterator[Service]:
    """A service whose sources are closed at the end, when nothing of theirs is in flight."""
    service = Service(application, config)
    try:
        yield service
    finally:
        await service.close()


class Poller:
    """One source being polled.

    scope: ends the polling; polling: ends one poll, after which the next begins. What is in
    flight drains either way.
    """

    def __init__(self, settings: object, source: Source) -> None:
        self.settings = settings
        self.source = source
        self.scope = anyio.CancelScope()
        self.polling = anyio.CancelScope()


class Service:
    """Keeps one poller for each configured source, under the configuration in force."""

    def __init__(self, application: Application, config: Config) -> None:
        self.config = config
        self._dispatcher = application.dispatcher
        self._assembly = application
        self._ledger = application.ledger
        #: Those that are not closed yet; some of them are polled no more.
        self._sources: set[Source] = set()
        self._pollers: dict[str, Poller] = {}
        self._changed = anyio.Event()
        self._group: TaskGroup

    def start(self, group: TaskGroup) -> None:
        """Begin to poll, within a task group."""
        self._group = group
        self._match_pollers()

    def apply(self, config: Config) -> None:
        """Go on under another configuration: for the next documents, not for those in flight."""
        if config.service.state_dir != self.config.service.state_dir:
            log.warning("state_dir changes at the next start", in_use=self.config.service.state_dir)
        self.config = config
        self._dispatcher.resize(config.stages)
        self._match_pollers()
        # Polls begin anew, for the rest of a backlog is under this configuration.
        for poller in self._pollers.values():
            poller.polling.cancel()
        self._changed.set()
        self._changed = anyio.Event()
        log.info(
            "configuration applied", companies=len(config.companies), sources=len(config.sources)
        )

    def _match_pollers(self) -> None:
        wanted = {settings.name: settings for settings in self.config.sources}
        for name, poller in list(self._pollers.items()):
            if wanted.get(name) != poller.settings:
                del self._pollers[name]
                poller.scope.cancel()
        for name, settings in wanted.items():
            if name not in self._pollers:
                try:
                    source = self._assembly.open(settings)
                except SynqupError as error:
                    log.error("source can't be opened", source=name, reason=str(error))
                    self._group.start_soon(self._ledger.polled, name, time.time(), str(error))
                    continue
                self._sources.add(source)
                self._pollers[name] = poller = Poller(settings, source)
                self._group.start_soon(self._poll, poller)

    async def close(self) -> None:
        """Close the sources that are open."""
        async with anyio.create_task_group() as closing:
            for source in self._sources:
                closing.start_soon(self._assembly.close, source)

    async def _retire(self, source: Source) -> None:
        await self._dispatcher.retire(source)
        await self._assembly.close(source)
        self._sources.discard(source)
        log.info("source drained", source=source.name)

    async def _poll(self, poller: Poller) -> None:
        failed: SynqupError | None = None
        failures = 0
        with poller.scope:
            while True:
                changed = self._changed
                with anyio.CancelScope() as poller.polling:
                    error = await self._poll_once(poller.source)
                if poller.polling.cancelled_caught:
                    continue
                # One trouble is reported once, whichever document or list met it this time.
                if error is not None and type(error) is not type(failed):
                    log.error("poll failed", source=poller.source.name, reason=str(error))
                elif failed is not None and error is None:
                    log.info("source serves again", source=poller.source.name)
                failed, failures = error, failures + 1 if error else 0
                with anyio.move_on_after(self._pause(error, failures)):
                    await changed.wait()
        # Only now: what the poll had begun may ask the source for something until it has ended.
        await self._retire(poller.source)

    def _pause(self, error: SynqupError | None, failures: int) -> float:
        """Seconds until the next poll: longer after each one that fails, up to a bound."""
        interval = float(self.config.service.poll_interval)
        longest = max(interval, min(interval * SLOWEST, LONGEST_PAUSE))
        pause = min(interval * 2.0 ** min(failures, 16), longest)
        asked = error.retry_after if isinstance(error, RetryableError) else None
        return max(pause, min(asked or 0.0, LONGEST_REST))

    async def _poll_once(self, source: Source) -> SynqupError | None:
        try:
            await self._assembly.poll(source, self.config)
        except StateError:
            raise
        except SynqupError as error:
            await self._ledger.polled(source.name, time.time(), str(error))
            return error
        return None
