"""Log command: `logs`, which shows people what the log says."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.app.cli_common import AsJson, ConfigFile, stopped_by_signals
from pipeline.app.exit_codes import ExitCode


def logs(
    config: ConfigFile,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is logged from now on.")
    ] = False,
    company: Annotated[
        str, typer.Option(help="Of this company alone: a part of its name, or its number.")
    ] = "",
    document: Annotated[
        str,
        typer.Option(help="Of this document alone: a part of its number, id, path or SHA-256."),
    ] = "",
    level: Annotated[
        str, typer.Option(help="Of this level and above: debug, info, warning or error.")
    ] = "",
    since: Annotated[
        str,
        typer.Option(help='From then on: "2h", "3d", "today", "2026-11-25", "2026-11-25 14:30".'),
    ] = "",
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", min=0, help="The last so many lines alone.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Show the log, of all days that are kept, or a part of it.

    With --follow it begins with the last 20 lines, unless --lines or --since say otherwise.
    """
    with stopped_by_signals(ExitCode.OK):
        from pipeline.app.command_logs import LogRequest, show_logs

        show_logs(
            config.resolve(),
            LogRequest(follow, company, document, level, since, lines, json),
        )
