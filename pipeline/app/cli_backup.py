"""Backup commands: `backup` and `restore` of the state folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.cli_common import ConfigFile, stopped_by_signals
from pipeline.app.exit_codes import ExitCode


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write.", dir_okay=False)],
    config: ConfigFile,
) -> None:
    """Back up the state folder, also while the service runs.

    That is ledger, tokens and quarantine. The archive holds tokens: keep it as you keep passwords.
    A file of that name is replaced.
    """
    with stopped_by_signals(ExitCode.INTERRUPTED):
        from pipeline.app.command_backup import back_up

        back_up(file, config.resolve())


def restore(
    file: Annotated[
        Path, typer.Argument(help="The archive of a backup.", exists=True, dir_okay=False)
    ],
    config: ConfigFile,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Put it in place of a state, which is kept beside."),
    ] = False,
) -> None:
    """Restore the state folder from a backup, all or nothing.

    No service may use it meanwhile. What was delivered since the backup was made, and not
    acknowledged, comes once more.
    """
    with stopped_by_signals(ExitCode.INTERRUPTED):
        from pipeline.app.command_backup import put_back

        put_back(file, config.resolve(), replace=replace)
