"""What `synqup status` does."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs
from rich.console import Console

from pipeline.app import output
from pipeline.app.wiring import ledger_path, load_config
from pipeline.ledger.summary import summarise


def print_status(path: Path, *, as_json: bool) -> None:
    """Print what the ledger holds, and until when a person is signed in.

    The sources and companies of the configuration come first.
    """
    settings = load_config(path)
    state_dir = settings.service.state_dir
    configured = [source.name for source in settings.sources]
    summary = summarise(ledger_path(state_dir), configured)
    names = {company.identifier: company.name for company in settings.companies}
    states = (source.sign_in_state(state_dir) for source in settings.sources)
    sign_ins = {state.source: state for state in states if state is not None}
    if as_json:
        print(output.in_json({**structs.asdict(summary), "sign_ins": sign_ins}))
    else:
        output.summary(Console(), summary, names, sign_ins)
