"""What `synqup status` does."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.app import output
from pipeline.app.wiring import ledger_path, load_config
from pipeline.ledger.summary import summarise


def print_status(path: Path, *, as_json: bool) -> None:
    """Print what the ledger holds, of the sources and companies of the configuration first."""
    settings = load_config(path)
    configured = [source.name for source in settings.sources]
    summary = summarise(ledger_path(settings.service.state_dir), configured)
    names = {company.identifier: company.name for company in settings.companies}
    if as_json:
        print(output.in_json(summary))
    else:
        output.summary(Console(), summary, names)
