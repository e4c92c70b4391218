"""Catch-up: brings the whole backlog of every source once, then ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio
from msgspec import Struct

from pipeline.app.clustering import is_alive_by, joined
from pipeline.app.control import Control
from pipeline.app.retention import Retention
from pipeline.app.shutdown import Shutdown
from pipeline.app.wiring import Application, Config, SourceSettings, open_application
from pipeline.engine.counters import Counters
from pipeline.engine.engine import Engine
from pipeline.errors import StateError, SynqupError
from pipeline.ledger.orders import AGAIN
from pipeline.records import RecordSink, ignore
from pipeline.source import Source

if TYPE_CHECKING:
    from pipeline.cluster.cluster import Cluster

#: Seconds to wait for a disk that refuses the ledger; the service waits as long as it takes.
LEDGER_TIMEOUT = 30.0
#: Seconds for removing at the end what is not to be kept any more; the next run goes on with it.
TIDY_TIMEOUT = 10.0

#: Shows the progress until cancelled: the counters so far, and how many documents are expected.
Show = Callable[[Counters, Callable[[], int | None]], Coroutine[Any, Any, None]]


class CatchUpResult(Struct, frozen=True):
    """How a catch-up ended.

    counters: what became of the documents. failures: the sources that failed, and why. stopped:
    whether a shutdown was requested before the end. fault: the first fault of synqup's own that
    kept anything from being done; empty if there was none. unreadable: how many listed documents
    could not be read, of each source that had any.
    """

    counters: Counters
    failures: dict[str, str]
    stopped: bool
    fault: str = ""
    unreadable: dict[str, int] = {}


class CatchUp:
    """One run over all sources; a source that fails does not keep the others from being read."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._failures: dict[str, str] = {}
        self._unreadable: dict[str, int] = {}
        self._sources: list[Source] = []
        #: The documents that each source has said to hold, by its name.
        self._expected: dict[str, int] = {}
        self._engine: Engine | None = None
        self._stopped = False

    async def run(
        self,
        show: Show,
        abandon: Callable[[], object] = lambda: None,
        sink: RecordSink = ignore,
    ) -> CatchUpResult:
        """Bring everything. Raises StateError when the state folder can't be used.

        abandon: ends the process; called when a thread that hangs keeps it from stopping. sink:
        takes the records of delivered documents.
        """
        config = self._config
        shutdown = Shutdown(config.service.shutdown_grace, abandon)
        shutdown.on_request(self._note_stop)
        with shutdown.handled():
            async with (
                joined(config) as cluster,
                open_application(
                    config, LEDGER_TIMEOUT, sink=sink, is_alive=is_alive_by(cluster)
                ) as application,
                AsyncExitStack() as closing,
            ):
                self._engine = application.engine
                for settings in config.sources:
                    await self._open(settings, application, closing)

                async def poll_all() -> None:
                    if cluster is not None:
                        await self._bring_in(cluster, application)
                        return
                    async with anyio.create_task_group() as polling:
                        for source in self._sources:
                            polling.start_soon(self._poll, source, application)

                retention = Retention(application, lambda: config)
                await retention.prepare()

                claim = cluster.sight.claim_orders if cluster is not None else None
                control = Control(application, self, claim)

                async def bring_and_tidy() -> None:
                    async with anyio.create_task_group() as working:
                        if cluster is not None:
                            # The others take it for a node: what is asked for is not to wait.
                            working.start_soon(control.worker.run)
                        await poll_all()
                        working.cancel_scope.cancel()
                    for name in (AGAIN, *(one.name for one in self._sources)):
                        await application.dispatcher.drained(name)
                    await control.worker.work()
                    with anyio.move_on_after(TIDY_TIMEOUT):
                        await retention.sweep()

                shutdown.on_request(application.ledger.stop_retrying)
                async with anyio.create_task_group() as showing:
                    showing.start_soon(show, application.engine.counters, self._total)
                    async with application.engine.running():
                        await shutdown.run_until_requested(bring_and_tidy)
                    showing.cancel_scope.cancel()
        return self.result()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    def source(self, name: str) -> Source | None:
        """A source that is open; None if it is not."""
        return next((one for one in self._sources if one.name == name), None)

    def poll_now(self, source: str) -> None:
        """Each is polled once, and only once."""

    def hold(self, source: str, since: float | None, by: str) -> None:
        """As poll_now()."""

    def result(self) -> CatchUpResult:
        """The result so far."""
        counters = self._engine.counters if self._engine is not None else Counters()
        fault = self._engine.breaker.fault if self._engine is not None else None
        return CatchUpResult(
            counters, self._failures, self._stopped, str(fault or ""), self._unreadable
        )

    def _note_stop(self) -> None:
        self._stopped = True

    async def _open(
        self, settings: SourceSettings, application: Application, closing: AsyncExitStack
    ) -> None:
        try:
            source = application.open(settings)
        except SynqupError as error:
            await self._record_failure(settings.name, error, application)
            return
        self._sources.append(source)
        closing.push_async_callback(application.close, source)

    async def _poll(self, source: Source, application: Application) -> None:
        try:
            if unreadable := await application.poll(source, self._config):
                self._unreadable[source.name] = unreadable
        except StateError:
            raise
        except SynqupError as error:
            await self._record_failure(source.name, error, application)

    async def _bring_in(self, cluster: Cluster, application: Application) -> None:
        """Have all parts of the sources brought by the nodes of a cluster."""
        from pipeline.app.cluster_catch_up import bring_all  # noqa: PLC0415 - of an extra

        brought = await bring_all(self._sources, self._config, application, cluster)
        self._failures |= brought.failures
        self._unreadable |= brought.unreadable

    async def _record_failure(
        self, source: str, error: SynqupError, application: Application
    ) -> None:
        self._failures[source] = str(error)
        await application.ledger.polled(source, time.time(), str(error))

    def _total(self) -> int | None:
        """The documents that all sources hold; None while a source may still say how many."""
        for source in self._sources:
            if (count := self._backlog(source)) is not None:
                # When the lists are read once more, they hold only what is left.
                self._expected[source.name] = max(self._expected.get(source.name, 0), count)
        pending = {source.name for source in self._sources} - {*self._expected, *self._failures}
        return sum(self._expected.values()) if self._sources and not pending else None

    def _backlog(self, source: Source) -> int | None:
        try:
            return source.backlog()
        except Exception:  # noqa: BLE001 - the poll meets the same failure, and reports it
            return None
