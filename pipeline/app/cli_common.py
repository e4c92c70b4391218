"""Command-line helpers: what several commands share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.app.exit_codes import ExitCode, exit_code_of_result
from pipeline.app.signals import signal_handlers
from pipeline.text import printable

if TYPE_CHECKING:
    from pipeline.app.catch_up import CatchUpResult

ConfigFile = Annotated[
    Path, typer.Option("--config", help="The configuration file.", exists=True, dir_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check_text(*texts: str | None) -> None:
    """Refuse arguments that are no text in the encoding of the terminal. Raises BadParameter."""
    for text in texts:
        if text and any("\ud800" <= one <= "\udfff" for one in text):
            shown = printable(text)
            raise typer.BadParameter(f'"{shown}" has bytes that are no text; write them in UTF-8')


@contextmanager
def stopped_by_signals(code: ExitCode) -> Iterator[None]:
    """Have a signal end the command with this exit code, in whichever moment it arrives."""
    with signal_handlers.installed():
        try:
            yield
        except KeyboardInterrupt:
            raise typer.Exit(code) from None


def leave_with(code: ExitCode) -> None:
    """End the command with an exit code other than OK; with OK it goes on."""
    if code is not ExitCode.OK:
        raise typer.Exit(code)


def end_with(result: CatchUpResult) -> None:
    """End the command with the exit code of a catch-up, and say which fault of synqup's it met."""
    if result.fault:
        print(f"synqup: {result.fault}", file=sys.stderr)
    leave_with(exit_code_of_result(result))
