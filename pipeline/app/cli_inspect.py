"""Inspection commands: `check`, `status` and `classify`, which change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.app import output
from pipeline.app.cli_common import AsJson, ConfigFile, leave_with
from pipeline.app.exit_codes import exit_code_of_findings
from pipeline.app.loop import run_loop
from pipeline.app.state_findings import state_findings
from pipeline.app.wiring import classify_among, classify_file, examine, ledger_path, load_config
from pipeline.ledger.summary import summarise


def check(config: ConfigFile) -> None:
    """Try the configuration: its paths, its folders, its sources; say what to fix.

    Exit status: 0 all is well, 1 a folder, 2 the configuration, 3 a source.
    """
    settings = load_config(config.resolve())
    findings = [*run_loop(lambda: examine(settings)), *state_findings(settings)]
    output.findings(Console(), findings)
    leave_with(exit_code_of_findings(findings))


def status(config: ConfigFile, json: AsJson = False) -> None:
    """Tell what became of documents and sources: counts, last polls and errors, the quarantine."""
    settings = load_config(config.resolve())
    configured = [source.name for source in settings.sources]
    summary = summarise(ledger_path(settings.service.state_dir), configured)
    names = {company.identifier: company.name for company in settings.companies}
    if json:
        print(output.in_json(summary))
    else:
        output.summary(Console(), summary, names)


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
    """Tell what each file is and whose, and why: the evidence for and against each company.

    Seen from one company (--company), or among all that are configured (--config).
    """
    if (config is None) is not bool(company):
        raise typer.BadParameter("give either --company or --config")
    companies = load_config(config.resolve()).companies if config is not None else ()
    for path in files:
        found = (
            classify_among(path, companies, mailbox)
            if config is not None
            else classify_file(path, company)
        )
        if json:
            print(output.in_json(found), flush=True)
        else:
            output.file_classification(Console(), found)
