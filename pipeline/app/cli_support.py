"""Support command: `support`, which gathers what support needs to know."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.cli_common import ConfigFile, stopped_by_signals
from pipeline.app.exit_codes import ExitCode


def support(
    file: Annotated[Path, typer.Argument(help="The ZIP archive to write.", dir_okay=False)],
    config: ConfigFile,
    documents: Annotated[
        bool,
        typer.Option(
            "--documents/--no-documents",
            help="Whether what the log says of documents is in it: numbers, parties, paths.",
        ),
    ] = True,
) -> None:
    """Gather in an archive what support needs to know.

    That is versions, settings, findings, counts, the last of the log. It holds no secret and no
    document, and is written also where the configuration can't be used.
    """
    with stopped_by_signals(ExitCode.INTERRUPTED):
        from pipeline.app.command_support import gather_support

        gather_support(file, config.resolve(), documents=documents)
