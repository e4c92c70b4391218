"""What `synqup demo` does."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.app import output
from pipeline.app.cli_common import end_with, leave_with
from pipeline.app.demo import run_demo
from pipeline.app.exit_codes import ExitCode
from pipeline.app.loop import run_loop


def demonstrate(documents: int, directory: Path | None) -> None:
    """Bring the documents of a sandbox to a folder, and print what lies there afterwards."""
    console = Console()
    result = run_loop(lambda: run_demo(console, documents, directory))
    complete = result.counters.delivered == documents
    output.verdict(
        console, complete, f"{result.counters.delivered:,} of {documents:,} documents delivered"
    )
    end_with(result)
    leave_with(ExitCode.OK if complete else ExitCode.INCOMPLETE)
