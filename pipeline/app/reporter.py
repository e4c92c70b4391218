"""Service reporter: tells the service manager that has started this process how it fares.

Started once each source has been signed in to and listed, or has said why it can't be; alive as
long as the engine makes progress; reloading around an edit of the configuration; stopping while it
drains. It runs in the event loop, so that a loop that is blocked says nothing.
"""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import structlog

from pipeline.app.service_manager.link import Link
from pipeline.app.shutdown import LAST_RESORT, Shutdown
from pipeline.app.wiring import Application, Config
from pipeline.engine.observer import Snapshot
from pipeline.health.progress import MIN_PATIENCE, ProgressMonitor

log = structlog.get_logger(__name__)

#: Seconds between two reports: while it starts or stops, and in between at most.
SHORT, LONG = 1.0, 5.0
#: Reports within the time in which the manager expects one.
REPORTS = 4
#: Seconds that each report asks for while it starts, and that a stop may take beyond its drain.
EXTENSION = 60.0
MARGIN = LAST_RESORT + 5.0


class Reporter:
    """Reports on one service to one service manager."""

    def __init__(self, link: Link, shutdown: Shutdown, config: Config) -> None:
        self._link = link
        self._shutdown = shutdown
        self._monitor = ProgressMonitor(patience(config))
        self._sources = {source.name for source in config.sources}
        self._application: Application | None = None
        self._paused: Callable[[], Collection[str]] = tuple
        self._is_ready = False
        self._stuck = ""
        #: When the opening of the state folder, and the drain, have to be over.
        self._opened_by = anyio.current_time() + self._monitor.patience
        self._drained_by: float | None = None
        shutdown.on_request(self._stopping)

    def watch(self, application: Application, paused: Callable[[], Collection[str]]) -> None:
        """Report on this application, whose ledger has been opened, from now on.

        paused: the sources that are not polled.
        """
        self._application = application
        self._paused = paused

    @contextmanager
    def reloading(self, config: Config) -> Iterator[None]:
        """Say that this configuration is being applied while the block runs."""
        if self._is_ready:
            self._link.reloading()
        try:
            yield
        finally:
            self._monitor.patience = patience(config)
            self._sources = {source.name for source in config.sources}
            if self._is_ready:
                self._link.ready()

    async def run(self) -> None:
        """Report again and again, until cancelled."""
        while True:
            self._report()
            await anyio.sleep(self._interval)

    @property
    def _polled(self) -> set[str]:
        """The sources that an answer is expected of."""
        return self._sources.difference(self._paused())

    @property
    def _interval(self) -> float:
        expected = self._link.alive_every or LONG * REPORTS
        steady = self._is_ready and self._drained_by is None
        return min(LONG if steady else SHORT, expected / REPORTS)

    def _report(self) -> None:
        if self._drained_by is not None:
            self._link.stopping(max(self._drained_by - anyio.current_time(), 0) + MARGIN)
        if self._application is None:
            if self._drained_by is None and anyio.current_time() < self._opened_by:
                self._link.starting(EXTENSION)
            self._link.status("Opening the state folder")
            return
        signs = self._application.vital_signs()
        self._note_stuck(self._monitor.observe(signs))
        if not self._is_ready and self._drained_by is None:
            if _unanswered(signs.snapshot, self._polled):
                if not self._stuck:
                    self._link.starting(EXTENSION)
            else:
                self._is_ready = True
                self._link.ready()
        # systemd watches from READY on.
        if self._is_ready and not self._stuck:
            self._link.alive()
        self._link.status(self._words(signs.snapshot, waiting=signs.ledger_refused))

    def _note_stuck(self, stuck: str) -> None:
        if stuck and not self._stuck:
            log.error("no progress", what=stuck, remedy="Send the log to support")
        elif self._stuck and not stuck:
            log.info("progress again")
        self._stuck = stuck

    def _stopping(self) -> None:
        self._drained_by = anyio.current_time() + self._shutdown.grace
        self._link.stopping(self._shutdown.grace + MARGIN)

    def _words(self, snapshot: Snapshot, *, waiting: bool) -> str:
        counters = snapshot.counters
        in_flight = sum(source.in_flight for source in snapshot.sources.values())
        documents = f"{counters.delivered:,} documents delivered, {in_flight:,} on their way"
        if self._drained_by is not None:
            return f"Stopping: {documents}"
        if self._stuck:
            return f"No progress: {self._stuck}"
        if waiting:
            return f"The ledger can't be written, and all waits for that: {documents}"
        if not self._is_ready:
            names = ", ".join(_unanswered(snapshot, self._polled))
            return f"Waiting for the first answer of {names}"
        failing = [
            snapshot.sources[name].poll.error
            for name in sorted(self._polled & snapshot.sources.keys())
            if snapshot.sources[name].poll.error
        ]
        if failing:
            of = f"{len(failing):,} of {len(self._sources):,} sources"
            return f"{of} can't be read: {failing[0]} {documents.capitalize()}"
        return documents.capitalize()


@asynccontextmanager
async def reporting(link: Link, shutdown: Shutdown, config: Config) -> AsyncIterator[Reporter]:
    """Report to a service manager while the block runs, also while it opens and drains."""
    reporter = Reporter(link, shutdown, config)
    if link.alive_every is not None:
        # A manager that misses the reports ends the process by SIGABRT: this shows where it was.
        with suppress(OSError, ValueError, AttributeError):
            faulthandler.enable(sys.stderr)
    async with anyio.create_task_group() as group:
        group.start_soon(reporter.run)
        yield reporter
        group.cancel_scope.cancel()


def patience(config: Config) -> float:
    """Seconds without a sign of life after which the engine is stuck under a configuration."""
    return max(MIN_PATIENCE, *(source.longest_silence for source in config.sources))


def _unanswered(snapshot: Snapshot, sources: set[str]) -> list[str]:
    """The sources that have neither been listed nor said why they can't be."""
    polls = {name: source.poll for name, source in snapshot.sources.items()}
    return sorted(
        name
        for name in sources
        if (poll := polls.get(name)) is None or not (poll.pages or poll.ended_at)
    )
