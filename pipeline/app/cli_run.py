"""Delivering commands: `run`, the service, and `catch-up`, which brings the whole backlog once."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.app.cli_common import ConfigFile, stopped_by_signals
from pipeline.app.exit_codes import ExitCode

TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over", help="Use a state folder of another machine, which is at work no more."
    ),
]


def run(config: ConfigFile, take_over: TakeOver = False) -> None:
    """Run as a service: poll every source until stopped. Edits of the configuration are applied."""
    with stopped_by_signals(ExitCode.OK):
        from pipeline.app import command_run

        command_run.run(config.resolve(), take_over=take_over)


def catch_up(
    config: ConfigFile,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be brought.")
    ] = False,
    take_over: TakeOver = False,
) -> None:
    """Bring the whole backlog once, then end.

    Exit status: 0 all delivered, 1 some quarantined, failed or unreadable in a list,
    2 configuration or usage, 3 a source unreachable or sign-in refused, 70 a fault of synqup's own.
    """
    with stopped_by_signals(ExitCode.INCOMPLETE):
        if dry_run:
            from pipeline.app.command_dry_run import list_backlog

            list_backlog(config.resolve())
        else:
            from pipeline.app.command_catch_up import bring_backlog

            bring_backlog(config.resolve(), take_over=take_over)
