"""Service commands: `synqup service install`, `uninstall`, `start`, `stop`, `status`, `print`."""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.app.cli_common import ConfigFile, leave_with
from pipeline.app.exit_codes import ExitCode
from pipeline.app.service_definition import define_service
from pipeline.app.service_manager.checked import CheckFailed
from pipeline.app.service_manager.definition import ServiceDefinition, valid_name
from pipeline.app.service_manager.manager import ServiceManager, manager_of_this_machine
from pipeline.app.wiring import load_config

service = typer.Typer(
    name="service",
    help="Install synqup as a service of this machine, and look after it.",
    no_args_is_help=True,
)


def _valid(name: str) -> str:
    try:
        return valid_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Name = Annotated[str, typer.Option("--name", callback=_valid, help="The name of the service.")]
Account = Annotated[
    str, typer.Option("--account", help="The account that runs it; else one of its own.")
]


@service.command()
def install(
    config: ConfigFile,
    name: Name = "synqup",
    account: Account = "",
    no_start: Annotated[bool, typer.Option("--no-start", help="Do not start it now.")] = False,
) -> None:
    """Install the service, or bring it up to date; it starts now and at each boot.

    The configuration is checked first, by the account of the service. Exit status: that of `check`
    if it fails, 1 if the service manager refuses.
    """
    definition, manager = _defined(config, name, account)
    try:
        manager.install(definition, print, _password, start=not no_start)
    except CheckFailed as failed:
        print(f"synqup: {failed}", file=sys.stderr)
        raise typer.Exit(failed.code) from None


@service.command()
def uninstall(name: Name = "synqup") -> None:
    """Stop the service and remove it; documents, state and configuration are left alone."""
    manager_of_this_machine().uninstall(name, print)


@service.command()
def start(name: Name = "synqup") -> None:
    """Start the service."""
    manager_of_this_machine().start(name, print)


@service.command()
def stop(name: Name = "synqup") -> None:
    """Stop the service, after what it has in flight."""
    manager_of_this_machine().stop(name, print)


@service.command()
def status(name: Name = "synqup") -> None:
    """Tell whether the service runs. Exit status: 0 if it does, else 1."""
    found = manager_of_this_machine().status(name)
    print(found.sentence)
    leave_with(ExitCode.OK if found.running else ExitCode.INCOMPLETE)


@service.command("print")
def print_(config: ConfigFile, name: Name = "synqup", account: Account = "") -> None:
    """Show what would be installed; nothing is changed."""
    definition, manager = _defined(config, name, account)
    print(manager.describe(definition), end="")


def _defined(config: Path, name: str, account: str) -> tuple[ServiceDefinition, ServiceManager]:
    manager = manager_of_this_machine()
    path = config.resolve()
    settings = load_config(path)
    account = account or manager.default_account(name)
    return define_service(name, path, settings, account), manager


def _password() -> str:
    """The password of an account: asked for at a terminal, else a line of standard input."""
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass("Password of the account: ")
    line = sys.stdin.readline() if sys.stdin is not None else ""
    return line.rstrip("\r\n")
