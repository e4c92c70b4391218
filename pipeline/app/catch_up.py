"""The one-shot catch-up: brings the whole backlog of every source, then ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import anyio
from msgspec import Struct

from pipeline.app.wiring import Assembly, Billtobox, Config, assembled
from pipeline.engine.engine import Engine
from pipeline.errors import StateError, SynqupError
from pipeline.source import Source
from pipeline.app.shutdown import Stop
from pipeline.engine.counters import Tally

#: Seconds that somebody who waits for the end is kept waiting for a disk that refuses.
PATIENCE = 30.0

#: Shows how far it is, until cancelled: the tally so far, and how many documents are expected.
Show = Callable[[Tally, Callable[[], int | None]], Coroutine[Any, Any, None]]


class Outcome(Struct, frozen=True):
    """How a catch-up ended: what became of the documents, and which sources failed and why.

    fault: the fault of synqup's own that kept anything from being done, if there was one.
    """

    tally: Tally
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
        self._intake: Engine | None = None
        self._stopped = False

    async def run(self, show: Show, abandon: Callable[[], object] = lambda: None) -> Outcome:
        """Bring everything.

        abandon: ends the process; called when a thread keeps it from stopping.
        """
        config = self._config
        stop = Stop(config.service.shutdown_grace, abandon)
        stop.hurry(self._note_stop)
        with stop.heeded():
            async with assembled(config, PATIENCE) as assembly, AsyncExitStack() as closing:
                self._intake = assembly.intake
                for settings in config.sources:
                    await self._open(settings, assembly, closing)

                async def feed() -> None:
                    async with anyio.create_task_group() as polling:
                        for source in self._sources:
                            polling.start_soon(self._poll, source, assembly)

                stop.hurry(assembly.ledger.hurry)
                async with anyio.create_task_group() as showing:
                    showing.start_soon(show, assembly.intake.tally, self._total)
                    async with assembly.intake.running():
                        await stop.feed(feed)
                    showing.cancel_scope.cancel()
        return self.outcome()

    def outcome(self) -> Outcome:
        """What has come of it so far."""
        tally = self._intake.tally if self._intake is not None else Tally()
        fault = self._intake.breaker.fault if self._intake is not None else None
        return Outcome(tally, self._failures, self._stopped, str(fault or ""))

    def _note_stop(self) -> None:
        self._stopped = True

    async def _open(self, settings: Billtobox, assembly: Assembly, closing: AsyncExitStack) -> None:
        try:
            source = assembly.open(settings)
        except SynqupError as error:
            await self._failed(settings.name, error, assembly)
            return
        self._sources.append(source)
        closing.push_async_callback(assembly.close, source)

    async def _poll(self, source: Source, assembly: Assembly) -> None:
        try:
            await assembly.poll(source, self._config)
        except StateError:
            raise
        except SynqupError as error:
            await self._failed(source.name, error, assembly)

    async def _failed(self, source: str, error: SynqupError, assembly: Assembly) -> None:
        self._failures[source] = str(error)
        await assembly.ledger.polled(source, time.time(), str(error))

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
