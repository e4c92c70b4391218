"""Where the program is put together: the one place at which the engine meets the stages."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct

from pipeline.config import Service as ServiceSettings
from pipeline.engine import Engine
from pipeline.ledger import Ledger, open_ledger
from pipeline.quarantine import Quarantine
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
    serve_sandbox,
    write_config,
    write_manifest,
)
from stages.settings import Billtobox, Config, load_config as load
from stages.sources import open_source

__all__ = [
    "Assembly",
    "Config",
    "Explanation",
    "Faults",
    "Finding",
    "Flow",
    "Lister",
    "Mailbox",
    "assembled",
    "examine",
    "explain",
    "ledger_path",
    "load_config",
    "open_source",
    "parse_fault",
    "quarantine_in",
    "read_faults",
    "serve_sandbox",
    "write_config",
    "write_manifest",
]


class Assembly(Struct, frozen=True):
    """The parts of one running program."""

    intake: Engine
    ledger: Ledger
    flow: Flow
    service: ServiceSettings

    def open(self, settings: Billtobox) -> Source:
        """The source that a section of the configuration describes."""
        return open_source(settings, self.service.state_dir)

    async def poll(self, source: Source, config: Config) -> None:
        """Bring what a source holds. Raises what makes it unusable, as Lister.poll() does."""
        await self.flow.finish(self.intake.is_flying)
        await Lister(source, config, self.ledger, self.intake).poll()


def load_config(path: Path) -> Config:
    """Read and check a configuration file. ConfigurationError names all that is wrong with it."""
    return load(path, NAMES)


def ledger_path(state_dir: Path) -> Path:
    """Where the ledger of a state folder lies."""
    return state_dir / "ledger.sqlite"


def quarantine_in(state_dir: Path) -> Quarantine:
    """The quarantine of a state folder."""
    return Quarantine(state_dir / "quarantine")


@asynccontextmanager
async def assembled(config: Config, patience: float = math.inf) -> AsyncIterator[Assembly]:
    """Open the ledger, settle what a crash left behind, and join the stages by their queues.

    patience: seconds to wait for a disk that refuses the ledger.
    """
    service = config.service
    async with (
        open_ledger(ledger_path(service.state_dir), patience) as ledger,
        AsyncExitStack() as stack,
    ):
        flow = Flow(service.state_dir, ledger)
        stack.callback(flow.close)
        await flow.recover()
        quarantine = quarantine_in(service.state_dir)
        intake = Engine(flow.stages, ledger, quarantine)
        intake.resize(config.stages)
        yield Assembly(intake, ledger, flow, service)
