"""Service: runs a poller for each source, and applies each edit of the configuration."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup
from msgspec import structs

from pipeline.alerts.alerts import Alerts
from pipeline.alerts.settings import AlertSettings
from pipeline.app.clustering import is_alive_by, joined, unit_poller
from pipeline.app.companies import Companies
from pipeline.app.control import Control
from pipeline.app.logging import ProgramLog
from pipeline.app.poller import Poller
from pipeline.app.reporter import patience, reporting
from pipeline.app.retention import Retention
from pipeline.app.service_manager.link import Link, NoLink
from pipeline.app.shutdown import Shutdown
from pipeline.app.wiring import (
    Application,
    Config,
    SourceSettings,
    examine_folders,
    folders_of,
    load_config,
    open_application,
)
from pipeline.config.types import Duration
from pipeline.config.watcher import watch_config
from pipeline.control.handlers import handlers_of, reading_handlers
from pipeline.control.server import ControlServer
from pipeline.errors import ControlError, SynqupError
from pipeline.health.collector import Collector
from pipeline.health.whole import WholeCollector
from pipeline.hints import HintOutcome, Pushed
from pipeline.monitor.monitor import Monitor
from pipeline.monitor.page.parts import Parts
from pipeline.monitor.page.shared_tally import SharedTally
from pipeline.monitor.page.tally import Tally
from pipeline.push.receiver import PushReceiver
from pipeline.source import Source

if TYPE_CHECKING:
    from pipeline.app.unit_poller import UnitPoller
    from pipeline.cluster.cluster import Cluster

log = structlog.get_logger(__name__)

#: Seconds between two looks whether a source was paused on another node.
PAUSES_INTERVAL = 2.0


async def serve(
    path: Path,
    config: Config,
    abandon: Callable[[], object] = lambda: None,
    link: Link | None = None,
    program_log: ProgramLog | None = None,
) -> Shutdown:
    """Run until a shutdown is requested, then drain. Returns the shutdown.

    config: what the file at `path` says. abandon: ends the process; called when a thread that hangs
    keeps it from stopping. link: to the service manager, which is told how the service fares.
    program_log: takes the records of delivered documents. Raises StateError when the state folder
    can't be used.
    """
    shutdown = Shutdown(config.service.shutdown_grace, abandon)
    program_log = program_log or ProgramLog()
    with shutdown.handled():
        async with (
            reporting(link or NoLink(), shutdown, config) as reporter,
            joined(config) as cluster,
            open_application(
                config, sink=program_log.record, is_alive=is_alive_by(cluster)
            ) as application,
            open_service(application, config, cluster) as service,
        ):
            reporter.watch(application, lambda: service.paused)
            retention = Retention(application, lambda: service.config)
            await retention.prepare()

            async def poll_and_watch() -> None:
                async with anyio.create_task_group() as group:
                    service.start(group, shutdown.requested)
                    group.start_soon(retention.run)
                    async for edited in watch_config(path, load_config, config, shutdown.requested):
                        shutdown.grace = edited.service.shutdown_grace
                        program_log.apply(edited.service)
                        with reporter.reloading(edited):
                            service.apply(edited)

            shutdown.on_request(application.ledger.stop_retrying)
            async with application.engine.running():
                await shutdown.run_until_requested(poll_and_watch)
    log.info("stopped", dropped=shutdown.forced)
    return shutdown


@asynccontextmanager
async def open_service(
    application: Application, config: Config, cluster: Cluster | None = None
) -> AsyncIterator[Service]:
    """A service whose sources are closed on leaving the block, when none has anything in flight."""
    service = Service(application, config, cluster)
    await service.prepare()
    try:
        yield service
    finally:
        await service.close()


class Service:
    """The pollers: one for each source of the configuration in force.

    A source that is removed or configured otherwise is polled no more. It is closed when what it
    has in flight has drained.
    """

    def __init__(
        self, application: Application, config: Config, cluster: Cluster | None = None
    ) -> None:
        """cluster: of which this is a node; None where it works alone."""
        self._config = config
        self._application = application
        self._cluster = cluster
        #: The sources that are not closed yet; some of them are polled no more.
        self._sources: set[Source] = set()
        self._pollers: dict[str, Poller | UnitPoller] = {}
        self._paused: dict[str, tuple[float, str]] = {}
        #: What people ask of it.
        claim = cluster.sight.claim_orders if cluster is not None else None
        self.control = Control(application, self, claim)
        self._control_server = ControlServer(
            application.service.state_dir,
            {
                **handlers_of(self.control.actions),
                **reading_handlers(self.control.readables),
                "open": self._invite,
            },
        )
        self._group: TaskGroup
        #: The destinations, and the configuration that names them.
        self._folders: tuple[Config | None, Sequence[Path]] = (None, ())
        observer, deliveries = application.engine.observer, application.flow.destinations
        state_dir = application.service.state_dir
        #: Tells how the service is, to whoever asks.
        self.collector: Collector | WholeCollector = Collector(
            *(application.vital_signs, application.ledger, deliveries, self, state_dir),
            shared_dir=application.shared_dir if cluster is not None else None,
        )
        tally = Tally()
        if cluster is not None:
            self.collector = WholeCollector(
                self.collector, cluster.sight, observer.snapshot, deliveries, self.unopened
            )
            tally = SharedTally()
        application.engine.journal.attach(tally.record)
        page = Parts(
            self.collector,
            observer,
            tally,
            Companies(lambda: self._config),
            application.ledger.place,
            lambda: alert_settings(self._config),
            self.control.actions,
            config.alerts.name or socket.gethostname(),
            self.control.readables,
            str(state_dir),
            cluster is not None,
        )
        self.monitor = Monitor(config.monitor, self.collector, observer, deliveries, page)
        #: Takes what platforms push.
        self.push_receiver = PushReceiver(config.push, self)
        self.alerts = Alerts(
            alert_settings(config),
            config.companies,
            self.collector.current,
            state_dir,
            application.ledger.place,
            cluster.sight.telling if cluster is not None else None,
        )

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    @property
    def paused(self) -> Mapping[str, tuple[float, str]]:
        """The sources that somebody has paused: since when, and by whom."""
        return self._paused

    async def prepare(self) -> None:
        """Read which sources are paused. It comes before start()."""
        self._paused = await self.control.book.paused()

    async def _invite(self, _: object, who: str) -> Mapping[str, str]:
        """The address at which one who may ask this service is signed in on its page."""
        address = self.monitor.invite(who)
        if address is None:
            raise ControlError(
                "the page",
                "the service serves none",
                'Write listen = "127.0.0.1:8470" into [monitor]',
            )
        return {"address": address}

    def start(self, group: TaskGroup, stopping: anyio.Event | None = None) -> None:
        """Begin to poll, within a task group, and to tell how the service is.

        stopping: is set where a shutdown is requested.
        """
        self._group = group
        if self._cluster is not None:
            self._cluster.start()
            group.start_soon(self._cluster.run)
            group.start_soon(self._heed_pauses)
            group.start_soon(self._application.flow.watch_volumes, self.folders)
        self._update_pollers()
        group.start_soon(self.control.worker.run)
        group.start_soon(self._control_server.run)
        group.start_soon(self.collector.run)
        group.start_soon(self.monitor.run)
        group.start_soon(self.push_receiver.run)
        group.start_soon(self.alerts.run, stopping)

    def sources(self) -> Mapping[str, Source | None]:
        """The sources of the configuration in force; None for one that can't be opened."""
        names = [settings.name for settings in self._config.sources]
        return {
            name: poller.source if (poller := self._pollers.get(name)) else None for name in names
        }

    def source(self, name: str) -> Source | None:
        """A source of the configuration in force; None for one that can't be opened."""
        return self.sources().get(name)

    def unopened(self) -> list[str]:
        """The configured sources that can't be opened."""
        return [name for name, source in self.sources().items() if source is None]

    def pushed(self, source: str) -> Pushed | None:
        """What takes the pushes of a source of the configuration in force; None: nothing does."""
        found = self.source(source)
        return found.push if found is not None else None

    def hinted(self, source: str, outcome: HintOutcome) -> None:
        """Count what became of a hint."""
        self._application.engine.observer.hinted(source, outcome)

    def poll_now(self, source: str) -> None:
        """Let the next poll of a source begin at once."""
        if poller := self._pollers.get(source):
            poller.poll_now()
        elif self._cluster is not None:
            # It can't be opened here; another node may poll it.
            self._group.start_soon(self._cluster.sight.poll_now, source)

    def hold(self, source: str, since: float | None, by: str) -> None:
        """Poll a source no more, since then; None: poll it again."""
        poller = self._pollers.get(source)
        if since is not None:
            self._paused[source] = (since, by)
            log.info("source paused", source=source, by=by)
        elif self._paused.pop(source, None) is not None:
            log.info("source goes on", source=source, by=by)
        if poller is not None:
            poller.hold() if since is not None else poller.release()

    async def folders(self) -> Sequence[Path]:
        """The destinations of the configuration in force."""
        config = self._config
        if self._folders[0] is not config:
            # Of thousands of companies this takes a while.
            found = await anyio.to_thread.run_sync(folders_of, config)
            self._folders = (config, found)
        return self._folders[1]

    def apply(self, config: Config) -> None:
        """Apply another configuration to the next documents; those in flight are not changed."""
        in_use = self._config.service.state_dir
        if config.service.state_dir != in_use:
            log.warning("state_dir changes at the next start", in_use=in_use)
        if config.cluster != self._config.cluster:
            log.warning("[cluster] changes at the next start")
        before, self._config = self._config, config
        if self._cluster is not None:
            self._cluster.configured(config)
        self._application.engine.resize(config.stages, config.connections, config.shares)
        self._update_pollers()
        self._application.keeper.apply(config.service)
        self.control.worker.wake()
        self.monitor.apply(config.monitor)
        self.push_receiver.apply(config.push)
        self.alerts.apply(alert_settings(config), config.companies)
        for poller in self._pollers.values():
            poller.apply(config)
        self._group.start_soon(self._try_added_folders, before, config)
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
                poller = self._poller(settings, source)
                self._pollers[name] = poller
                self._group.start_soon(self._run, poller)

    def _poller(self, settings: SourceSettings, source: Source) -> Poller | UnitPoller:
        """What polls a source, alone or as a node of a cluster."""
        name, application, config = source.name, self._application, self._config
        hinted = partial(self.hinted, name)
        if self._cluster is not None:
            return unit_poller(settings, source, application, config, self._cluster, hinted)
        held = name in self._paused
        return Poller(settings, source, application, config, held=held, hinted=hinted)

    async def _heed_pauses(self) -> None:
        """Hold the sources that were paused on another node, and let them go on."""
        while True:
            await anyio.sleep(PAUSES_INTERVAL)
            paused = await self.control.book.paused()
            for name in {*paused, *self._paused}:
                if (name in paused) != (name in self._paused):
                    since, by = paused.get(name, (None, ""))
                    self.hold(name, since, by)

    async def _try_added_folders(self, before: Config, config: Config) -> None:
        """Say at once which of the folders that an edit has added can't be used."""
        # Of thousands of companies this takes a while.
        added = await anyio.to_thread.run_sync(_added_folders, before, config)
        for found in await examine_folders(config, added) if added else ():
            if not found.ok:
                log.error("a folder can't be used", reason=found.sentence)

    async def _run(self, poller: Poller | UnitPoller) -> None:
        await poller.run()
        source = poller.source
        # Not before: what a poll has put in flight may need the source until it has ended.
        await self._application.dispatcher.retire(source)
        await self._application.close(source)
        self._sources.discard(source)
        log.info("source drained", source=source.name)


def alert_settings(config: Config) -> AlertSettings:
    """[alerts], but that nothing counts as stuck sooner than it does to the service manager.

    A poll whose server asks to be left alone for a while is not stuck, and neither is one that no
    answer comes to; the latter is told when it has failed.
    """
    stuck = max(config.alerts.stuck, patience(config))
    return structs.replace(config.alerts, stuck=Duration(stuck))


def _added_folders(before: Config, config: Config) -> frozenset[Path]:
    return frozenset(folders_of(config)).difference(folders_of(before))
