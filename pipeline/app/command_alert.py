"""What `synqup alert --test` does."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.alerts.command import try_all
from pipeline.app import output
from pipeline.app.cli_common import leave_with
from pipeline.app.exit_codes import ExitCode
from pipeline.app.loop import run_loop
from pipeline.app.wiring import load_config
from pipeline.errors import ConfigurationError


def try_alerts(path: Path, *, as_json: bool) -> None:
    """Send a message by each way of the configuration at this path, and print what came of it."""
    settings = load_config(path).alerts
    if not settings.tells:
        problem = "alerts: nobody is told; write [alerts.mail] or another way, see docs/alerts.md"
        raise ConfigurationError(str(path), [problem])
    tried = run_loop(lambda: try_all(settings))
    if as_json:
        print(output.in_json(tried))
    else:
        for one in tried:
            output.verdict(Console(), one.ok, f"{one.way}: {one.error or 'the message was taken.'}")
    leave_with(ExitCode.OK if all(one.ok for one in tried) else ExitCode.INCOMPLETE)
