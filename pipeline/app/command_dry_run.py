"""What `synqup catch-up --dry-run` does."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from pipeline.app import output
from pipeline.app.cli_common import leave_with
from pipeline.app.dry_run import perform_dry_run
from pipeline.app.exit_codes import ExitCode
from pipeline.app.identity import check_state
from pipeline.app.lock import single_instance
from pipeline.app.logging import configure_logging
from pipeline.app.loop import run_loop
from pipeline.app.wiring import load_config


def list_backlog(path: Path) -> None:
    """Print which documents wait, and bring none."""
    settings = load_config(path)
    configure_logging(None, quiet=True)
    with ExitStack() as stack:
        if any(source.exclusive_sign_in for source in settings.sources):
            # The token is good for one sign-in, and a service that runs needs it.
            stack.enter_context(single_instance(settings.service.state_dir))
            check_state(settings.service.state_dir)
        found = run_loop(lambda: perform_dry_run(settings))
    output.dry_run(Console(), found)
    leave_with(ExitCode.SOURCE if found.failures else ExitCode.OK)
