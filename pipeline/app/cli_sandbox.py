"""Sandbox commands: `sandbox`, a mailbox on this machine, and `demo`, a catch-up from one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.app import output
from pipeline.app.cli_common import end_with, leave_with, stopped_by_signals
from pipeline.app.demo import run_demo
from pipeline.app.exit_codes import ExitCode
from pipeline.app.loop import run_loop
from pipeline.app.shutdown import Shutdown
from pipeline.app.wiring import (
    Faults,
    Mailbox,
    parse_fault,
    read_faults,
    serve_sandbox,
    write_config,
    write_manifest,
)


def sandbox(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 0,
    documents: Annotated[int, typer.Option(min=0, help="How many it holds.")] = 300,
    companies: Annotated[int, typer.Option(min=1, help="How many companies.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed makes the same documents.")] = 1,
    answers: Annotated[
        bool, typer.Option("--answers", help="Every second sale is an answer to the one before.")
    ] = False,
    latency: Annotated[float, typer.Option(min=0, help="Milliseconds before each answer.")] = 0,
    corpus: Annotated[
        Path | None, typer.Option(help="Serve the files below this folder instead.")
    ] = None,
    company: Annotated[
        str | None, typer.Option(help="With --corpus: the company whose they are.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Write a line of JSON for each document.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Append a line of JSON for each acknowledgement.")
    ] = None,
    write_config_to: Annotated[
        Path | None, typer.Option("--write-config", help="Write a configuration that works.")
    ] = None,
    sign_in: Annotated[
        bool, typer.Option("--sign-in", help="In that configuration, a person has to sign in.")
    ] = False,
    faults: Annotated[
        Path | None, typer.Option(help="Misbehave by this script of faults (TOML or JSON).")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="Misbehave: NAME, or NAME=RATE. May be repeated.")
    ] = None,
    tls: Annotated[
        Path | None, typer.Option(help="Serve https with this certificate and key (PEM).")
    ] = None,
) -> None:
    """Be a Billtobox mailbox, for trials: the wire format is the real one."""
    script = read_faults(faults) if faults is not None else []
    planned = [*script, *map(parse_fault, fault or ())]
    if (corpus is None) != (company is None):
        raise typer.BadParameter("--corpus and --company go together")
    if corpus is not None and company is not None:
        mailbox = Mailbox.of_files(corpus, company)
    else:
        mailbox = Mailbox(documents, companies, seed, answers=answers)

    async def listen() -> None:
        shutdown = Shutdown(grace=0)
        with shutdown.handled():
            async with serve_sandbox(
                mailbox,
                host=host,
                port=port,
                latency=latency / 1000,
                journal=journal,
                faults=Faults(planned, seed),
                tls=tls,
            ) as served:
                if write_config_to is not None:
                    write_config(write_config_to, served, mailbox, tls, by_person=sign_in)
                if manifest is not None:
                    write_manifest(manifest, mailbox)
                print(f"listening on {served.url}", flush=True)
                await shutdown.requested.wait()

    with stopped_by_signals(ExitCode.OK):
        run_loop(listen)


def demo(
    documents: Annotated[int, typer.Option(min=1, help="How many documents.")] = 300,
    directory: Annotated[
        Path | None, typer.Option(help="An empty folder; by default a new temporary one.")
    ] = None,
) -> None:
    """See it work: a mailbox of three companies is brought to their folders on this machine."""
    with stopped_by_signals(ExitCode.INCOMPLETE):
        console = Console()
        result = run_loop(lambda: run_demo(console, documents, directory))
        complete = result.counters.delivered == documents
        output.verdict(
            console, complete, f"{result.counters.delivered:,} of {documents:,} documents delivered"
        )
        end_with(result)
        leave_with(ExitCode.OK if complete else ExitCode.INCOMPLETE)
