"""Dry run: lists what a catch-up would bring, and changes nothing anywhere."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio.to_thread
from msgspec import Struct

from pipeline.app.wiring import Config, Lister, ledger_place, open_source
from pipeline.engine.engine import Engine
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import StateError, SynqupError
from pipeline.ledger.connection import NoLedger
from pipeline.ledger.database import copy_database
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.source import Entry


class DryRun(Struct, frozen=True):
    """What a catch-up would bring.

    found: the documents of each source, by its name. failures: the sources that failed, and why.
    staged: how many documents are staged already and only have to become visible.
    """

    found: dict[str, list[Entry]]
    failures: dict[str, str]
    staged: int


async def perform_dry_run(config: Config) -> DryRun:
    """Read every list and compare it with a copy of the ledger, or with the one of the cluster.

    Nothing is fetched, acknowledged or written, not even in the state folder; except that a source
    whose refresh token is good for one sign-in stores the next one. Raises StateError where the
    ledger can't be read.
    """
    found: dict[str, list[Entry]] = {}
    failures: dict[str, str] = {}
    error_reporter = ErrorReporter()
    with tempfile.TemporaryDirectory(prefix="synqup-") as folder:
        async with _unchanged_ledger(config, Path(folder) / "ledger.sqlite") as ledger:
            engine = Engine((), ledger, Quarantine(Path(folder) / "quarantine"))
            for settings in config.sources:
                try:
                    source = open_source(settings, config.service.state_dir)
                    try:
                        lister = Lister(source, config, ledger, engine.dispatcher)
                        found[settings.name] = await lister.waiting()
                    finally:
                        await source.close()
                except StateError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever it is concerns this source
                    words: SynqupError = error_reporter.report(f"source {settings.name}", error)
                    failures[settings.name] = str(words)
            staged = len(await ledger.unfinished())
    return DryRun(found, failures, staged)


@asynccontextmanager
async def _unchanged_ledger(config: Config, copy: Path) -> AsyncIterator[Ledger]:
    """The ledger as it is now: a file is copied, a database only read; a new one if there is none.

    copy: a path for the copy.
    """
    place = ledger_place(config)
    async with AsyncExitStack() as stack:
        if isinstance(place, Path):
            await anyio.to_thread.run_sync(copy_database, place, copy)
            ledger = await stack.enter_async_context(open_ledger(copy))
        else:
            try:
                ledger = await stack.enter_async_context(open_ledger(place, 0.0, read_only=True))
            except NoLedger:
                ledger = await stack.enter_async_context(open_ledger(copy))
        yield ledger
