"""Where the program is put together: the one place at which the engine meets the stages."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import structlog
from msgspec import Struct

from pipeline.config.types import Service as ServiceSettings
from pipeline.engine.breaker import Breaker
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.engine.unforeseen import Unforeseen
from pipeline.errors import InternalError, StateError, SynqupError
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.source import Source
from stages.check import Finding, examine
from stages.classify import Explanation, explain
from stages.flow import NAMES, Flow
from stages.list import Lister
from stages.sandbox import (
    Faults,
    Mailbox,
    parse_fault,
    read_faults,
    serve_sandbox as serve,
    write_config,
    write_manifest,
)
from stages.settings import Config, SourceSettings, load_config as load
from stages.sources.registry import CONNECTORS, SECTIONS, open_source

__all__ = [
    "Application",
    "Config",
    "Explanation",
    "Faults",
    "Finding",
    "Flow",
    "Lister",
    "Mailbox",
    "SourceSettings",
    "examine",
    "explain",
    "ledger_path",
    "load_config",
    "open_application",
    "open_source",
    "parse_fault",
    "quarantine_in",
    "read_faults",
    "serve_sandbox",
    "write_config",
    "write_manifest",
]


log = structlog.get_logger(__name__)

#: Serves a mailbox as the platform of the first connector.
serve_sandbox = partial(serve, wire=CONNECTORS[0].wire)


#: Seconds that a source is given to close its connections.
CLOSING = 5.0


class Application(Struct, frozen=True):
    """The parts of one running program."""

    dispatcher: Engine
    ledger: Ledger
    flow: Flow
    service: ServiceSettings
    unforeseen: Unforeseen

    def open(self, settings: SourceSettings) -> Source:
        """The source that a section of the configuration describes. SynqupError."""
        place = f"source {settings.name}"
        try:
            return open_source(settings, self.service.state_dir)
        except Exception as error:  # noqa: BLE001 - whatever it is concerns this source
            raise self._noted(settings.name, self.unforeseen.words(place, error)) from None

    async def poll(self, source: Source, config: Config) -> None:
        """Bring what a source holds. Raises why that was not possible: SynqupError.

        Nothing else comes through, whatever the source raises: what is a fault of synqup's own
        is an InternalError, also where it only kept a document waiting.
        """
        await self._finish()
        try:
            await Lister(source, config, self.ledger, self.dispatcher).poll()
        except Exception as error:  # noqa: BLE001 - whatever it is concerns this source
            words = self.unforeseen.words(f"source {source.name}", error)
            raise self._noted(source.name, words) from None
        if (fault := self.dispatcher.breaker.fault_of(source.name)) is not None:
            raise fault

    async def close(self, source: Source) -> None:
        """Close a source, whatever that raises, and however long it takes."""
        with anyio.move_on_after(CLOSING, shield=True):
            try:
                await source.close()
            except Exception as error:  # noqa: BLE001 - it is of no use any more
                self.unforeseen.words(f"source {source.name}", error)

    async def _finish(self) -> None:
        """Settle what other polls left staged; a destination's trouble is no source's."""
        try:
            await self.flow.finish(self.dispatcher.is_flying)
        except Exception as error:  # noqa: BLE001 - the next poll tries again
            words = self._noted("", self.unforeseen.words("what is staged", error))
            log.warning("what is staged can't be settled", reason=str(words))

    def _noted(self, source: str, words: SynqupError) -> SynqupError:
        if isinstance(words, InternalError):
            self.dispatcher.breaker.record_fault(source, words)
        return words


def load_config(path: Path) -> Config:
    """Read and check a configuration file. ConfigurationError names all that is wrong with it."""
    return load(path, NAMES, SECTIONS)


def ledger_path(state_dir: Path) -> Path:
    """Where the ledger of a state folder lies."""
    return state_dir / "ledger.sqlite"


def quarantine_in(state_dir: Path) -> Quarantine:
    """The quarantine of a state folder."""
    return Quarantine(state_dir / "quarantine")


@asynccontextmanager
async def open_application(
    config: Config, patience: float = math.inf
) -> AsyncIterator[Application]:
    """Open the ledger, settle what a crash left behind, and join the stages by their queues.

    patience: seconds to wait for a disk that refuses the ledger.
    """
    service = config.service
    async with (
        open_ledger(ledger_path(service.state_dir), patience) as ledger,
        AsyncExitStack() as stack,
    ):
        breaker, unforeseen = Breaker(), Unforeseen()
        try:
            flow = Flow(service.state_dir, ledger, breaker)
            stack.callback(flow.close)
            await flow.recover()
        except OSError as error:
            raise StateError(
                str(service.state_dir),
                f"the state folder can't be used ({error})",
                "Mend its disk, or let this account write there",
            ) from error
        quarantine = quarantine_in(service.state_dir)
        dispatcher = Engine(flow.stages, ledger, quarantine, breaker, unforeseen)
        dispatcher.resize(config.stages)
        yield Application(dispatcher, ledger, flow, service, unforeseen)
