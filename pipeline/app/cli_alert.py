"""Alert command: `alert --test`, which tries every way by which alerts go out."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pipeline.app import output
from pipeline.app.cli_common import AsJson, ConfigFile, leave_with
from pipeline.app.exit_codes import ExitCode
from pipeline.app.loop import run_loop
from pipeline.app.wiring import load_config
from pipeline.errors import ConfigurationError


def alert(
    config: ConfigFile,
    test: Annotated[bool, typer.Option("--test", help="Send one message by each way.")] = False,
    json: AsJson = False,
) -> None:
    """Send a test by each channel and heartbeat of [alerts], and say what came of it.

    Exit status: 0 all were taken, 1 one was not, 2 configuration or usage.
    """
    if not test:
        raise typer.BadParameter("say --test: then one message goes out by each way")
    path = config.resolve()
    settings = load_config(path).alerts
    if not settings.tells:
        problem = "alerts: nobody is told; write [alerts.mail] or another way, see docs/alerts.md"
        raise ConfigurationError(str(path), [problem])
    from pipeline.alerts.command import try_all  # noqa: PLC0415 - few commands need it

    tried = run_loop(lambda: try_all(settings))
    if json:
        print(output.in_json(tried))
    else:
        for one in tried:
            output.verdict(Console(), one.ok, f"{one.way}: {one.error or 'the message was taken.'}")
    leave_with(ExitCode.OK if all(one.ok for one in tried) else ExitCode.INCOMPLETE)
