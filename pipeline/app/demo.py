"""Demonstration: runs a sandbox and a catch-up from it, and prints the folders that it filled."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio.to_thread
from rich.console import Console

from pipeline.app import output
from pipeline.app.catch_up import CatchUp, CatchUpResult
from pipeline.app.lock import single_instance
from pipeline.app.logging import configure_logging
from pipeline.app.progress import Display
from pipeline.app.wiring import ledger_path, load_config
from pipeline.app.wiring_sandbox import Mailbox, serve_sandbox, write_config
from pipeline.errors import ConfigurationError
from pipeline.ledger.summary import summarise

COMPANIES = 3
SEED = 1


async def run_demo(console: Console, documents: int, directory: Path | None) -> CatchUpResult:
    """Bring a mailbox's documents to an empty folder, and print what lies there afterwards.

    Raises ConfigurationError when the folder is not empty: the ledger of an earlier demonstration
    may lie there, by which nothing would be brought again.
    """
    folder = await anyio.to_thread.run_sync(_empty_folder, directory)
    mailbox = Mailbox(documents, COMPANIES, SEED)
    async with serve_sandbox(mailbox) as sandbox:
        path = folder / "synqup.toml"
        # The proxy of this machine's system does not reach a server on loopback.
        write_config(path, sandbox, mailbox, proxy="none")
        config = load_config(path)
        console.print(f"A mailbox of {documents:,} documents listens on {sandbox.url}")
        with single_instance(config.service.state_dir):
            log = configure_logging(config.service.state_dir / "logs", config.service, quiet=True)
            result = await CatchUp(config).run(Display(console).show, sink=log.record)
    output.tree(console, folder / "out")
    summary = summarise(ledger_path(config.service.state_dir))
    names = {company.identifier: company.name for company in config.companies}
    output.result(console, result, summary)
    output.counts(console, summary, names)
    return result


def _empty_folder(directory: Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="synqup-demo-"))
    if directory.exists() and any(directory.iterdir()):
        raise ConfigurationError(
            str(directory), ["--directory: the folder is not empty; name a new or an empty one"]
        )
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()
