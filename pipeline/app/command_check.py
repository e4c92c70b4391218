"""What `synqup check` does."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.app import output
from pipeline.app.cli_common import leave_with
from pipeline.app.exit_codes import exit_code_of_findings
from pipeline.app.loop import run_loop
from pipeline.app.push_findings import push_findings
from pipeline.app.state_findings import known_volumes, state_findings
from pipeline.app.wiring import examine, load_config


def print_findings(path: Path, *, before_sign_in: bool) -> None:
    """Try all that the configuration at this path names, and print how that went.

    before_sign_in: whether a sign-in by a person is still to come, and no failure.
    """
    settings = load_config(path)
    findings = [
        *run_loop(lambda: examine(settings, known_volumes(settings))),
        *push_findings(settings),
        *state_findings(settings),
    ]
    to_come = {"sign-in"} if before_sign_in else set[str]()
    output.findings(Console(), findings, to_come)
    leave_with(exit_code_of_findings(one for one in findings if one.about not in to_come))
