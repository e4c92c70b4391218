"""The one-shot catch-up: brings the whole backlog of every source, then ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import anyio
from msgspec import Struct

from pipeline.app.shutdown import Stop
from pipeline.app.wiring import Application, Config, SourceSettings, open_application
from pipeline.engine.counters import Counters
from pipeline.engine.engine import Engine
from pipeline.errors import StateError, SynqupError
from pipeline.source import Source

#: Seconds that somebody who waits for the end is kept waiting for a disk that refuses.
PATIENCE = 30.0

#: Shows how far it is, until cancelled: the counters so far, and how many documents are expected.
Show = Callable[[Counters, Callable[[], int | None]], Coroutine[Any, Any, None]]


class Outcome(Struct, frozen=True):
    """How a catch-up ended: what became of the documents, and which sources failed and why.

    fault: the fault of synqup's own that kept anything from being done, if there was one.
    """

    counters: Counters
    failures: dict[str, str]
    stopped: bool
    fault: str = ""


class CatchUp:
    """One run over all sources."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._failures: dict[str, str] = {}
        self._sources: list[Source] = []
        self._expected: dict[str, int] = {}
        self._dispatcher: Engine | None = None
        self._stopped = False

    async def run(self, show: Show, abandon: Callable[[], object] = lambda: None) -> Outcome:
        """Bring everything.

        abandon: ends the process; called when a thread keeps it from stopping.
        """
        config = self._config
        stop = Stop(config.service.shutdown_grace, abandon)
        stop.hurry(self._note_stop)
        with stop.heeded():
            async with (
                open_application(config, PATIENCE) as application,
                AsyncExitStack() as closing,
            ):
                self._dispatcher = application.dispatcher
                for settings in config.sources:
                    await self._open(settings, application, closing)

                async def feed() -> None:
                    async with anyio.create_task_group() as polling:
                        for source in self._sources:
                            polling.start_soon(self._poll, source, application)

                stop.hurry(application.ledger.hurry)
                async with anyio.create_task_group() as showing:
                    showing.start_soon(show, application.dispatcher.counters, self._total)
                    async with application.dispatcher.running():
                        await stop.feed(feed)
                    showing.cancel_scope.cancel()
        return self.outcome()

    def outcome(self) -> Outcome:
        """What has come of it so far."""
        counters = self._dispatcher.counters if self._dispatcher is not None else Counters()
        fault = self._dispatcher.breaker.fault if self._dispatcher is not None else None
        return Outcome(counters, self._failures, self._stopped, str(fault or ""))

    def _note_stop(self) -> None:
        self._stopped = True

    async def _open(
        self, settings: SourceSettings, application: Application, closing: AsyncExitStack
    ) -> None:
        try:
            source = application.open(settings)
        except SynqupError as error:
            await self._failed(settings.name, error, application)
            return
        self._sources.append(source)
        closing.push_async_callback(application.close, source)

    async def _poll(self, source: Source, application: Application) -> None:
        try:
            await application.poll(source, self._config)
        except StateError:
            raise
        except SynqupError as error:
            await self._failed(source.name, error, application)

    async def _failed(self, source: str, error: SynqupError, application: Application) -> None:
        self._failures[source] = str(error)
        await application.ledger.polled(source, time.time(), str(error))

    def _total(self) -> int | None:
        """What all sources hold; None as long as one that can be read has not said."""
        for source in self._sources:
            if (count := self._backlog(source)) is not None:
                # A later walk sees only what is left.
                self._expected[source.name] = max(self._expected.get(source.name, 0), count)
        silent = {source.name for source in self._sources} - {*self._expected, *self._failures}
        return sum(self._expected.values()) if self._sources and not silent else None

    def _backlog(self, source: Source) -> int | None:
        try:
            return source.backlog()
        except Exception:  # noqa: BLE001 - it is asked in the poll as well, which reports it
            return None
