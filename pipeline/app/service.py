"""Service: runs a poller for each source, and applies each edit of the configuration."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import structlog
from anyio.abc import TaskGroup

from pipeline.app.logging import ProgramLog
from pipeline.app.poller import Poller
from pipeline.app.retention import Retention
from pipeline.app.shutdown import Shutdown
from pipeline.app.wiring import Application, Config, load_config, open_application
from pipeline.config.watcher import watch_config
from pipeline.errors import SynqupError
from pipeline.source import Source

log = structlog.get_logger(__name__)


async def serve(
    path: Path,
    config: Config,
    abandon: Callable[[], object] = lambda: None,
    program_log: ProgramLog | None = None,
) -> Shutdown:
    """Run until a shutdown is requested, then drain. Returns the shutdown.

    config: what the file at `path` says. abandon: ends the process; called when a thread that hangs
    keeps it from stopping. program_log: takes the record of each delivered document. Raises
    StateError when the state folder can't be used.
    """
    shutdown = Shutdown(config.service.shutdown_grace, abandon)
    program_log = program_log or ProgramLog()
    with shutdown.handled():
        async with (
            open_application(config, sink=program_log.record) as application,
            open_service(application, config) as service,
        ):
            retention = Retention(application, lambda: service.config)
            await retention.prepare()

            async def poll_and_watch() -> None:
                async with anyio.create_task_group() as group:
                    service.start(group)
                    group.start_soon(retention.run)
                    async for edited in watch_config(path, load_config, config, shutdown.requested):
                        shutdown.grace = edited.service.shutdown_grace
                        program_log.apply(edited.service)
                        service.apply(edited)

            shutdown.on_request(application.ledger.stop_retrying)
            async with application.engine.running():
                await shutdown.run_until_requested(poll_and_watch)
    log.info("stopped", dropped=shutdown.forced)
    return shutdown


@asynccontextmanager
async def open_service(application: Application, config: Config) -> AsyncIterator[Service]:
    """A service whose sources are closed on leaving the block, when none has anything in flight."""
    service = Service(application, config)
    try:
        yield service
    finally:
        await service.close()


class Service:
    """The pollers: one for each source of the configuration in force.

    A source that is removed or configured otherwise is polled no more. It is closed when what it
    has in flight has drained.
    """

    def __init__(self, application: Application, config: Config) -> None:
        self._config = config
        self._application = application
        #: The sources that are not closed yet; some of them are polled no more.
        self._sources: set[Source] = set()
        self._pollers: dict[str, Poller] = {}
        self._group: TaskGroup

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    def start(self, group: TaskGroup) -> None:
        """Begin to poll, within a task group."""
        self._group = group
        self._update_pollers()

    def apply(self, config: Config) -> None:
        """Apply another configuration to the next documents; those in flight are not changed."""
        in_use = self._config.service.state_dir
        if config.service.state_dir != in_use:
            log.warning("state_dir changes at the next start", in_use=in_use)
        self._config = config
        self._application.engine.resize(config.stages)
        self._update_pollers()
        for poller in self._pollers.values():
            poller.apply(config)
        log.info(
            "configuration applied", companies=len(config.companies), sources=len(config.sources)
        )

    async def close(self) -> None:
        """Close the sources that are open."""
        async with anyio.create_task_group() as closing:
            for source in self._sources:
                closing.start_soon(self._application.close, source)

    def _update_pollers(self) -> None:
        """Stop the pollers of sources that were removed or changed, and start the missing ones."""
        wanted = {settings.name: settings for settings in self._config.sources}
        for name, poller in list(self._pollers.items()):
            if wanted.get(name) != poller.settings:
                del self._pollers[name]
                poller.stop()
        for name, settings in wanted.items():
            if name not in self._pollers:
                try:
                    source = self._application.open(settings)
                except SynqupError as error:
                    log.error("source can't be opened", source=name, reason=str(error))
                    polled = self._application.ledger.polled
                    self._group.start_soon(polled, name, time.time(), str(error))
                    continue
                self._sources.add(source)
                poller = Poller(settings, source, self._application, self._config)
                self._pollers[name] = poller
                self._group.start_soon(self._run, poller)

    async def _run(self, poller: Poller) -> None:
        await poller.run()
        source = poller.source
        # Not before: what a poll has put in flight may need the source until it has ended.
        await self._application.dispatcher.retire(source)
        await self._application.close(source)
        self._sources.discard(source)
        log.info("source drained", source=source.name)
