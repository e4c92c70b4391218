"""Command line: `synqup COMMAND`.

A command is a function in one of the modules cli_*.py, which declares its options and its help, and
a line in COMMANDS. What it does is in a module command_*.py, which is imported when the command is
called: so help, usage errors and signal handlers wait for nothing that they don't need.

Errors that the user can act on end in a sentence on standard error, bugs in a traceback; both with
an exit code of pipeline/app/exit_codes.py.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from pipeline.app import (
    cli_alert,
    cli_backup,
    cli_cluster,
    cli_control,
    cli_inspect,
    cli_logs,
    cli_run,
    cli_sandbox,
    cli_service,
    cli_setup,
    cli_sign_in,
    cli_support,
)
from pipeline.app.exit_codes import ExitCode, exit_code_of_error
from pipeline.app.process import collect_rarely, exit_process
from pipeline.app.streams import prepare_process
from pipeline.errors import SynqupError
from pipeline.text import printable_lines

app = typer.Typer(
    name="synqup",
    help="Brings invoices and bank statements from a cloud mailbox to your accounting package.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Boxes and colours take longer to import than all the rest of the help takes.
    rich_markup_mode=None,
)

#: The commands in the order in which the help lists them.
COMMANDS: dict[str, Callable[..., None]] = {
    "init": cli_setup.init,
    "run": cli_run.run,
    "catch-up": cli_run.catch_up,
    "sign-in": cli_sign_in.sign_in,
    "check": cli_inspect.check,
    "status": cli_inspect.status,
    "find": cli_control.find,
    "show": cli_control.show,
    "open": cli_control.open_page,
    "poll": cli_control.poll,
    "pause": cli_control.pause,
    "resume": cli_control.resume,
    "retry": cli_control.retry,
    "redeliver": cli_control.redeliver,
    "assign": cli_control.assign,
    "logs": cli_logs.logs,
    "classify": cli_inspect.classify,
    "alert": cli_alert.alert,
    "backup": cli_backup.backup,
    "restore": cli_backup.restore,
    "support": cli_support.support,
    "sandbox": cli_sandbox.sandbox,
    "demo": cli_sandbox.demo,
}

for name, command in COMMANDS.items():
    app.command(name)(command)

app.add_typer(cli_setup.companies)
app.add_typer(cli_service.service)
app.add_typer(cli_cluster.cluster)


def _show_version(wanted: bool) -> None:
    if wanted:
        # It reads the metadata of the package by a parser of e-mails, which takes a while.
        from importlib.metadata import version  # noqa: PLC0415

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
    collect_rarely()
    try:
        app()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except SynqupError as error:
        print(f"synqup: {error}", file=sys.stderr)
        return exit_code_of_error(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001 - a bug: its traceback is what support needs
        print(printable_lines(traceback.format_exc()), file=sys.stderr)
        print("synqup: this is a fault of synqup's own; send the lines above.", file=sys.stderr)
        return ExitCode.INTERNAL_ERROR
    return ExitCode.OK


if __name__ == "__main__":
    main()
