"""Alert command: `alert --test`, which tries every way by which alerts go out."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.app.cli_common import AsJson, ConfigFile


def alert(
    config: ConfigFile,
    test: Annotated[bool, typer.Option("--test", help="Send one message by each way.")] = False,
    json: AsJson = False,
) -> None:
    """Try each way by which alerts go out.

    A test is sent by each channel and heartbeat of [alerts], and it is said what came of it.

    Exit status: 0 all were taken, 1 one was not, 2 configuration or usage.
    """
    if not test:
        raise typer.BadParameter("say --test: then one message goes out by each way")
    from pipeline.app.command_alert import try_alerts

    try_alerts(config.resolve(), as_json=json)
