"""Sandbox commands: `sandbox`, a mailbox on this machine, and `demo`, a catch-up from one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.cli_common import stopped_by_signals
from pipeline.app.exit_codes import ExitCode


def sandbox(
    platform: Annotated[str, typer.Option(help="Which platform to be.")] = "billtobox",
    option: Annotated[
        list[str] | None,
        typer.Option(help="Of that platform: NAME=VALUE. May be repeated; a wrong one lists all."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 0,
    documents: Annotated[int, typer.Option(min=0, help="How many it holds.")] = 300,
    new_every: Annotated[
        float | None, typer.Option(min=0.01, help="Seconds after which one more arrives.")
    ] = None,
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
    write_companies: Annotated[
        Path | None, typer.Option(help="Write a list of the companies, for `synqup init`.")
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
    """Be a platform with a mailbox, for trials. The wire format is the real one."""
    if (corpus is None) != (company is None):
        raise typer.BadParameter("--corpus and --company go together")
    if corpus is not None and new_every is not None:
        raise typer.BadParameter("--new-every makes documents, and --corpus has its own")
    with stopped_by_signals(ExitCode.OK):
        from pipeline.app.command_sandbox import plan_faults, serve_mailbox
        from pipeline.app.wiring_sandbox import Mailbox

        if corpus is not None and company is not None:
            mailbox = Mailbox.of_files(corpus, company)
        else:
            mailbox = Mailbox(documents, companies, seed, answers=answers)
        serve_mailbox(
            mailbox,
            plan_faults(faults, fault or (), seed),
            platform=platform,
            options=dict(map(_name_and_value, option or ())),
            host=host,
            port=port,
            latency=latency / 1000,
            journal=journal,
            tls=tls,
            config=write_config_to,
            by_person=sign_in,
            manifest=manifest,
            companies=write_companies,
            new_every=new_every,
        )


def _name_and_value(option: str) -> tuple[str, str]:
    name, _, value = option.partition("=")
    return name, value


def demo(
    documents: Annotated[int, typer.Option(min=1, help="How many documents.")] = 300,
    directory: Annotated[
        Path | None, typer.Option(help="An empty folder; by default a new temporary one.")
    ] = None,
    platforms: Annotated[
        str, typer.Option(help='Where the documents lie: kinds of sources, or "all".')
    ] = "billtobox",
) -> None:
    """See it work, on this machine.

    The documents of three companies are brought to their folders. With several platforms some of
    the documents lie at two of them, and come once.
    """
    with stopped_by_signals(ExitCode.INCOMPLETE):
        from pipeline.app.command_demo import demonstrate

        demonstrate(documents, directory, platforms)
