"""Composition root: joins the engine, the ledger, the sources and the stages to one program.

It and `wiring_sandbox.py` are the only modules of `pipeline` that import `stages`. The others
import what they need of `stages` from these two: see __all__.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import structlog
from msgspec import Struct

from pipeline.config.secrets import SecretMissing, read_secret
from pipeline.config.types import ServiceSettings
from pipeline.engine.breaker import Breaker
from pipeline.engine.breaker_retry import BreakerRetry
from pipeline.engine.copies import Copies
from pipeline.engine.dispatcher import EngineDispatcher
from pipeline.engine.engine import Engine
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.keeper import Keeper
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import InternalError, StateError, SynqupError
from pipeline.health.progress import VitalSigns
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.place import LedgerPlace, PostgresPlace
from pipeline.records import RecordSink, ignore
from pipeline.source import Source
from pipeline.stage import Instrument
from stages.check import Finding, examine, examine_folders
from stages.classify import FileClassification, classify_among, classify_file
from stages.configuration import load_config as load
from stages.flow import STAGE_NAMES, Flow
from stages.kind import Kind
from stages.list import Lister
from stages.orders import OrderDocuments, company_named
from stages.readable import ReadableDocuments
from stages.settings import Config, SourceSettings, company_folders, folders_of, roots_of
from stages.sources.registry import SECTIONS, open_source
from stages.sources.sign_in import open_sign_in

__all__ = [
    "Application",
    "Config",
    "FileClassification",
    "Finding",
    "Flow",
    "Kind",
    "Lister",
    "OrderDocuments",
    "ReadableDocuments",
    "SourceSettings",
    "classify_among",
    "classify_file",
    "company_folders",
    "company_named",
    "copies_in",
    "examine",
    "examine_folders",
    "folders_of",
    "ledger_path",
    "ledger_place",
    "load_config",
    "open_application",
    "open_sign_in",
    "open_source",
    "quarantine_in",
    "roots_of",
]

log = structlog.get_logger(__name__)

#: Seconds that a source is given to close its connections.
CLOSE_TIMEOUT = 5.0
#: Seconds that a node of a cluster waits for the ledger before it ends.
CLUSTER_TIMEOUT = 10.0


class Application(Struct, frozen=True):
    """The parts of one running program, and what can be done with a source by them.

    Whatever a source raises becomes a SynqupError here, so that it concerns that source alone; what
    nobody has foreseen keeps its traceback in the log.
    """

    engine: Engine
    ledger: Ledger
    flow: Flow
    service: ServiceSettings
    error_reporter: ErrorReporter
    quarantine: Quarantine
    keeper: Keeper

    @property
    def dispatcher(self) -> EngineDispatcher:
        """The dispatcher of the engine."""
        return self.engine.dispatcher

    def vital_signs(self) -> VitalSigns:
        """What tells whether the engine gets on."""
        refused = self.ledger.unwritable is not None
        return VitalSigns(self.engine.observer.snapshot(), self.flow.signs_of_life(), refused)

    def open(self, settings: SourceSettings) -> Source:
        """Open the source that a section of the configuration describes. Raises SynqupError."""
        place = f"source {settings.name}"
        try:
            return open_source(settings, self.service.state_dir)
        except Exception as error:  # noqa: BLE001 - whatever it is concerns this source
            words = self._recorded(settings.name, self.error_reporter.report(place, error))
            self.engine.observer.poll_failed(settings.name, words)
            raise words from None

    async def poll(self, source: Source, config: Config) -> int:
        """Bring what a source holds. Raises SynqupError when that was not possible.

        Returns how many listed documents had to be left out because they can't be read.

        A fault of synqup's own raises InternalError, also where it only kept a document waiting.
        """
        await self.recover_staged()
        observer, journal = self.engine.observer, self.engine.journal
        with journal.polling(source.name), observer.polling(source.name):
            return await self._poll(source, config)

    async def _poll(self, source: Source, config: Config) -> int:
        try:
            page_read = partial(self.engine.observer.page_read, source.name)
            lister = Lister(source, config, self.ledger, self.dispatcher, page_read)
            unreadable = await lister.poll()
        except Exception as error:  # noqa: BLE001 - whatever it is concerns this source
            words = self.error_reporter.report(f"source {source.name}", error)
            raise self._recorded(source.name, words) from None
        if (fault := self.engine.breaker.fault_of(source.name)) is not None:
            raise fault
        return unreadable

    async def close(self, source: Source) -> None:
        """Close a source, for at most CLOSE_TIMEOUT; raises nothing."""
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            try:
                await source.close()
            except Exception as error:  # noqa: BLE001 - the source is not used any more
                self.error_reporter.report(f"source {source.name}", error)

    async def recover_staged(self) -> None:
        """Recover what earlier polls left staged; where that fails, the source is polled anyway."""
        try:
            await self.flow.finish(self.dispatcher.is_in_flight)
        except Exception as error:  # noqa: BLE001 - the next poll tries again
            words = self._recorded("", self.error_reporter.report("what is staged", error))
            log.warning("what is staged can't be recovered", reason=str(words))

    def _recorded(self, source: str, words: SynqupError) -> SynqupError:
        """The same error, which the breaker knows of if it is a fault of synqup's own."""
        if isinstance(words, InternalError):
            self.engine.breaker.record_fault(source, words)
        return words


def load_config(path: Path) -> Config:
    """Read and check a configuration file. Raises ConfigurationError with all of its problems."""
    return load(path, STAGE_NAMES, SECTIONS)


def ledger_path(state_dir: Path) -> Path:
    """The path of the ledger in a state folder, where there is no cluster."""
    return state_dir / "ledger.sqlite"


def ledger_place(config: Config) -> LedgerPlace:
    """Where the ledger of a configuration lies. Raises StateError if that can't be read."""
    if config.cluster is None:
        return ledger_path(config.service.state_dir)
    try:
        return PostgresPlace(read_secret(config.cluster.dsn))
    except SecretMissing as error:
        raise StateError(f"[cluster] dsn, {error.subject}", error.reason, error.remedy) from None


def quarantine_in(state_dir: Path) -> Quarantine:
    """The quarantine of a state folder."""
    return Quarantine(state_dir / "quarantine")


def copies_in(state_dir: Path) -> Copies:
    """The copies of what was delivered, of a state folder."""
    return Copies(state_dir / "delivered.sqlite")


@asynccontextmanager
async def open_application(
    config: Config,
    ledger_timeout: float = math.inf,
    instrument: Instrument | None = None,
    sink: RecordSink = ignore,
) -> AsyncIterator[Application]:
    """Open the ledger, recover what a crash left behind, and join the stages to an engine.

    ledger_timeout: seconds to wait for a disk that refuses the ledger; in a cluster, no longer than
    CLUSTER_TIMEOUT for its database, so that another node takes over. instrument: is put around
    the work of each stage and around the acknowledging. sink: takes the records of delivered
    documents. Raises StateError when the state folder can't be used.
    """
    service, node = config.service, ""
    if config.cluster is not None:
        node, ledger_timeout = config.cluster.name, min(ledger_timeout, CLUSTER_TIMEOUT)
    async with (
        open_ledger(ledger_place(config), ledger_timeout, node) as ledger,
        AsyncExitStack() as stack,
    ):
        breaker, error_reporter = Breaker(), ErrorReporter()
        try:
            flow = Flow(service.state_dir, ledger, BreakerRetry(breaker))
            stack.callback(flow.close)
            await flow.recover()
        except OSError as error:
            raise StateError(
                str(service.state_dir),
                f"the state folder can't be used ({error})",
                "Repair its disk, or let this account write there",
            ) from error
        quarantine = quarantine_in(service.state_dir)
        keeper = Keeper(copies_in(service.state_dir), service)
        engine = Engine(
            flow.stages,
            ledger,
            quarantine,
            breaker,
            error_reporter,
            instrument,
            sink,
            keeper.keep,
        )
        engine.resize(config.stages, config.connections, config.shares)
        async with anyio.create_task_group() as keeping:
            keeping.start_soon(keeper.run)
            try:
                yield Application(engine, ledger, flow, service, error_reporter, quarantine, keeper)
            finally:
                keeping.cancel_scope.cancel()
