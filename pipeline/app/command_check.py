"""What `synqup check` does."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.app import output
from pipeline.app.cli_common import leave_with
from pipeline.app.exit_codes import exit_code_of_findings
from pipeline.app.loop import run_loop
from pipeline.app.wiring import examine, load_config


def print_findings(path: Path) -> None:
    """Try all that the configuration at this path names, and print how that went."""
    settings = load_config(path)
    findings = run_loop(lambda: examine(settings))
    output.findings(Console(), findings)
    leave_with(exit_code_of_findings(findings))
