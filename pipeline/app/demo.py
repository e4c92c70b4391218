"""Demonstration: runs sandboxes and a catch-up from them, and prints the folders that it filled."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path

import anyio.to_thread
from msgspec import Struct
from rich.console import Console

from pipeline.app import output
from pipeline.app.catch_up import CatchUp, CatchUpResult
from pipeline.app.lock import single_instance
from pipeline.app.logging import configure_logging
from pipeline.app.progress import Display
from pipeline.app.wiring import ledger_place, load_config
from pipeline.app.wiring_sandbox import (
    Mailbox,
    Served,
    serve_platform,
    write_config_of_all,
)
from pipeline.errors import ConfigurationError
from pipeline.ledger.summary import summarise

COMPANIES = 3
SEED = 1
#: Documents of one cycle of the sandbox's companies, of all kinds: what two neighbours have in
#: common where there are several platforms.
SHARED = 30


class Demonstration(Struct, frozen=True):
    """What came of it. expected: how many different documents the platforms hold."""

    result: CatchUpResult
    expected: int


async def run_demo(
    console: Console, documents: int, directory: Path | None, kinds: Sequence[str]
) -> Demonstration:
    """Bring the documents of mailboxes to an empty folder, and print what lies there afterwards.

    kinds: of the platforms that hold them; a firm has the same companies at all of them, and some
    of the documents lie at two. Raises ConfigurationError when the folder is not empty: the ledger
    of an earlier demonstration may lie there, by which nothing would be brought again.
    """
    folder = await anyio.to_thread.run_sync(_empty_folder, directory)
    async with AsyncExitStack() as stack:
        served = []
        for kind, mailbox in zip(kinds, _mailboxes(documents, len(kinds)), strict=True):
            sandbox = await stack.enter_async_context(serve_platform(kind, mailbox))
            served.append(Served(sandbox, mailbox))
            held = sum(sandbox.platform.holds(document) for document in mailbox)
            console.print(f"{kind}: a mailbox of {held:,} documents listens on {sandbox.url}")
        path = folder / "synqup.toml"
        # The proxy of this machine's system does not reach a server on loopback.
        write_config_of_all(path, served, proxy="none")
        config = load_config(path)
        with single_instance(config.service.state_dir):
            log = configure_logging(config.service.state_dir / "logs", config.service, quiet=True)
            result = await CatchUp(config).run(Display(console).show, sink=log.record)
    output.tree(console, folder / "out")
    summary = summarise(ledger_place(config))
    names = {company.identifier: company.name for company in config.companies}
    output.result(console, result, summary)
    output.counts(console, summary, names)
    return Demonstration(result, _different(served))


def _mailboxes(documents: int, count: int) -> list[Mailbox]:
    """So many mailboxes of the same companies; each has some documents of the one before it."""
    if count == 1:
        return [Mailbox(documents, COMPANIES, SEED)]
    cycles = max(documents // count // SHARED, 1)
    return [
        Mailbox((cycles + 1) * SHARED, COMPANIES, SEED, cycles=number * cycles)
        for number in range(count)
    ]


def _different(all_served: Sequence[Served]) -> int:
    """How many different documents there are, wherever they lie."""
    return len(
        {
            sha256(document.read()).digest()
            for served in all_served
            for document in served.mailbox
            if served.sandbox.platform.holds(document)
        }
    )


def _empty_folder(directory: Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="synqup-demo-"))
    if directory.exists() and any(directory.iterdir()):
        raise ConfigurationError(
            str(directory), ["--directory: the folder is not empty; name a new or an empty one"]
        )
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()
