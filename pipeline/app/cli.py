"""Command line: `synqup COMMAND`.

A command is a function in one of the modules cli_*.py, and a line in COMMANDS.
Errors that the user can act on end in a sentence on standard error, bugs in a traceback; both with
an exit code of pipeline/app/exit_codes.py.
"""

from __future__ import annotations

import sys
import traceback
from asyncio import CancelledError
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from pipeline.app import cli_backup, cli_inspect, cli_logs, cli_run, cli_sandbox, cli_support
from pipeline.app.exit_codes import ExitCode, exit_code_of_error
from pipeline.app.loop import exit_process
from pipeline.app.streams import prepare_process
from pipeline.errors import SynqupError
from pipeline.text import printable_lines

app = typer.Typer(
    name="synqup",
    help="Brings invoices and bank statements from a cloud mailbox to your accounting package.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

#: The commands in the order in which the help lists them.
COMMANDS: dict[str, Callable[..., None]] = {
    "run": cli_run.run,
    "catch-up": cli_run.catch_up,
    "check": cli_inspect.check,
    "status": cli_inspect.status,
    "logs": cli_logs.logs,
    "classify": cli_inspect.classify,
    "backup": cli_backup.backup,
    "restore": cli_backup.restore,
    "support": cli_support.support,
    "sandbox": cli_sandbox.sandbox,
    "demo": cli_sandbox.demo,
}

for name, command in COMMANDS.items():
    app.command(name)(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"synqup {version('synqup')}")
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    exit_process(_run_command())


def _run_command() -> int:
    prepare_process()
    try:
        app()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except SynqupError as error:
        print(f"synqup: {error}", file=sys.stderr)
        return exit_code_of_error(error)
    except (KeyboardInterrupt, CancelledError):
        return ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001 - a bug: its traceback is what support needs
        print(printable_lines(traceback.format_exc()), file=sys.stderr)
        print("synqup: this is a fault of synqup's own; send the lines above.", file=sys.stderr)
        return ExitCode.INTERNAL_ERROR
    return ExitCode.OK


if __name__ == "__main__":
    main()
