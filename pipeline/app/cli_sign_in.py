"""Sign-in command: `sign-in`, by which a person signs in to a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.cli_common import ConfigFile


def sign_in(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Its name.")],
    config: ConfigFile = Path("synqup.toml"),
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only show the address, to open it elsewhere.")
    ] = False,
) -> None:
    """Sign in to a source by a browser or by what it mails.

    Exit status: 0 signed in, 1 it could not be stored, 2 the configuration, 3 the source refuses.
    """
    from pipeline.app.command_sign_in import sign_in_to

    sign_in_to(config.resolve(), source, browser=not no_browser)
