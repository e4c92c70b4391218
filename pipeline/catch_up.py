"""The one-shot catch-up: brings the whole backlog of every source, then ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import anyio
from msgspec import Struct

from pipeline.assembly import Assembly, Config, Lister, assembled
from pipeline.errors import StateError, SynqupError
from pipeline.source import Entry, Source
from pipeline.supervision import Stop, stop_on_signals
from pipeline.tally import Tally

#: Seconds that somebody who waits for the end is kept waiting for a disk that refuses.
PATIENCE = 30.0

#: Shows how far it is, until cancelled: the tally so far, and how many documents are expected.
Show = Callable[[Tally, Callable[[], int | None]], Coroutine[Any, Any, None]]


class Outcome(Struct, frozen=True):
    """How a catch-up ended: what became of the documents, and which sources failed and why."""

    tally: Tally
    failures: dict[str, str]
    stopped: bool


class CatchUp:
    """One run over all sources."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._failures: dict[str, str] = {}
        self._sources: list[Source] = []
        self._expected: dict[str, int] = {}

    async def run(self, show: Show) -> Outcome:
        """Bring everything. Raises what a stage died of, after the rest has drained."""
        config = self._config
        stop = Stop(config.service.shutdown_grace)
        async with assembled(config, PATIENCE) as assembly, AsyncExitStack() as closing:
            sources = [assembly.open(settings) for settings in config.sources]
            self._sources = sources
            for source in sources:
                closing.push_async_callback(source.close)

            async def feed() -> None:
                async with anyio.create_task_group() as polling:
                    for source in sources:
                        polling.start_soon(self._poll, source, assembly)

            stop.hurries.append(assembly.ledger.hurry)
            with stop_on_signals(stop), stop.scope:
                async with anyio.create_task_group() as showing:
                    showing.start_soon(show, assembly.intake.tally, self._total)
                    async with assembly.intake.running():
                        await stop.feed(feed, assembly.intake.broken)
                    showing.cancel_scope.cancel()
            return Outcome(assembly.intake.tally, self._failures, stop.requested.is_set())

    async def rehearse(self) -> dict[str, list[Entry]]:
        """What run() would bring from each source, by its name; nothing is fetched or told."""
        found = {}
        async with assembled(self._config) as assembly:
            for settings in self._config.sources:
                source = assembly.open(settings)
                lister = Lister(source, self._config, assembly.ledger, assembly.intake)
                try:
                    found[source.name] = await lister.waiting()
                finally:
                    await source.close()
        return found

    async def _poll(self, source: Source, assembly: Assembly) -> None:
        try:
            await assembly.poll(source, self._config)
        except StateError:
            raise
        except SynqupError as error:
            self._failures[source.name] = str(error)
            await assembly.ledger.polled(source.name, time.time(), str(error))

    def _total(self) -> int | None:
        """What all sources hold; None as long as one that can be read has not said."""
        for source in self._sources:
            if (count := source.backlog()) is not None:
                # A later walk sees only what is left.
                self._expected[source.name] = max(self._expected.get(source.name, 0), count)
        silent = {source.name for source in self._sources} - {*self._expected, *self._failures}
        return sum(self._expected.values()) if self._sources and not silent else None
