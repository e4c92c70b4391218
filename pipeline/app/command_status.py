"""What `synqup status` does."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs
from rich.console import Console

from pipeline.app import output
from pipeline.app.push_findings import push_addresses
from pipeline.app.wiring import ledger_place, load_config
from pipeline.ledger.summary import summarise


def print_status(path: Path, *, as_json: bool) -> None:
    """Print what the ledger holds, until when a person is signed in, and where pushes come in.

    The sources and companies of the configuration come first.
    """
    settings = load_config(path)
    state_dir = settings.service.state_dir
    configured = [source.name for source in settings.sources]
    summary = summarise(ledger_place(settings), configured)
    names = {company.identifier: company.name for company in settings.companies}
    states = (source.sign_in_state(state_dir) for source in settings.sources)
    sign_ins = {state.source: state for state in states if state is not None}
    pushes = push_addresses(settings)
    if as_json:
        told = {**structs.asdict(summary), "sign_ins": sign_ins, "pushes": pushes}
        print(output.in_json(told))
    else:
        output.summary(Console(), summary, names, sign_ins, pushes)
