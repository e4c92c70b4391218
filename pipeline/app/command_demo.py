"""What `synqup demo` does."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.app import output
from pipeline.app.cli_common import end_with, leave_with
from pipeline.app.demo import run_demo
from pipeline.app.exit_codes import ExitCode
from pipeline.app.loop import run_loop
from pipeline.app.wiring_sandbox import ALL_KINDS


def demonstrate(documents: int, directory: Path | None, platforms: str) -> None:
    """Bring the documents of sandboxes to a folder, and print what lies there afterwards.

    platforms: kinds of [[sources]], separated by commas; or "all".
    """
    console = Console()
    kinds = ALL_KINDS if platforms == "all" else tuple(platforms.split(","))
    demo = run_loop(lambda: run_demo(console, documents, directory, kinds))
    delivered, expected = demo.result.counters.delivered, demo.expected
    complete = delivered == expected
    output.verdict(console, complete, f"{delivered:,} of {expected:,} documents delivered")
    end_with(demo.result)
    leave_with(ExitCode.OK if complete else ExitCode.INCOMPLETE)
