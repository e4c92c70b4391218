"""Dry run: lists what a catch-up would bring, and changes nothing anywhere."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import anyio.to_thread
from msgspec import Struct

from pipeline.app.node_turns import node_turns
from pipeline.app.wiring import Config, Lister, ledger_path, open_source
from pipeline.engine.engine import Engine
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import StateError, SynqupError
from pipeline.ledger.database import copy_database
from pipeline.ledger.ledger import open_ledger
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
    """Read every list and compare it with a copy of the ledger.

    Nothing is fetched, acknowledged or written, not even in the state folder; except that a source
    whose refresh token is good for one sign-in stores the next one. Raises StateError where the
    ledger can't be read.
    """
    found: dict[str, list[Entry]] = {}
    failures: dict[str, str] = {}
    error_reporter = ErrorReporter()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="synqup-"))
        turns = await anyio.to_thread.run_sync(stack.enter_context, node_turns(config.cluster))
        copy = Path(folder) / "ledger.sqlite"
        await anyio.to_thread.run_sync(copy_database, ledger_path(config.service.state_dir), copy)
        async with open_ledger(copy) as ledger:
            engine = Engine((), ledger, Quarantine(Path(folder) / "quarantine"))
            for settings in config.sources:
                try:
                    source = open_source(settings, config.shared_dir, turns)
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
