"""Inspection commands: `check`, `status` and `classify`, which change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.cli_common import AsJson, ConfigFile


def check(config: ConfigFile) -> None:
    """Try the configuration: its paths, its folders, its sources. Say what to fix.

    Exit status: 0 all is well, 1 a folder, 2 the configuration, 3 a source.
    """
    from pipeline.app.command_check import print_findings

    print_findings(config.resolve())


def status(config: ConfigFile, json: AsJson = False) -> None:
    """Tell what became of documents and sources.

    That is counts, last polls and errors, answers, the quarantine.
    """
    from pipeline.app.command_status import print_status

    print_status(config.resolve(), as_json=json)


def classify(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    company: Annotated[
        str, typer.Option(help="One company: its enterprise or VAT number, or an IBAN.")
    ] = "",
    config: Annotated[
        Path | None,
        typer.Option(help="A configuration file, for all its companies.", exists=True),
    ] = None,
    mailbox: Annotated[
        str, typer.Option(help="The identifier of the company in whose mailbox they lay.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Tell what each file is, whose, and why. It shows the evidence for and against each company.

    Seen from one company (--company), or among all that are configured (--config).
    """
    if (config is None) is not bool(company):
        raise typer.BadParameter("give either --company or --config")
    from pipeline.app.command_classify import print_classifications

    path = config.resolve() if config is not None else None
    print_classifications(files, company, path, mailbox, as_json=json)
