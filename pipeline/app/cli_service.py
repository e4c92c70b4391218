"""Service commands: `synqup service install`, `uninstall`, `start`, `stop`, `status`, `print`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.app.cli_common import ConfigFile

service = typer.Typer(
    name="service",
    help="Install synqup as a service of this machine, and look after it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _valid(name: str) -> str:
    from pipeline.app.service_manager.definition import valid_name

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
    from pipeline.app import command_service

    command_service.install(config, name, account, start=not no_start)


@service.command()
def uninstall(name: Name = "synqup") -> None:
    """Stop the service and remove it; documents, state and configuration are left alone."""
    from pipeline.app import command_service

    command_service.uninstall(name)


@service.command()
def start(name: Name = "synqup") -> None:
    """Start the service."""
    from pipeline.app import command_service

    command_service.start(name)


@service.command()
def stop(name: Name = "synqup") -> None:
    """Stop the service, after what it has in flight."""
    from pipeline.app import command_service

    command_service.stop(name)


@service.command()
def status(name: Name = "synqup") -> None:
    """Tell whether the service runs. Exit status: 0 if it does, else 1."""
    from pipeline.app import command_service

    command_service.tell_status(name)


@service.command("print")
def print_(config: ConfigFile, name: Name = "synqup", account: Account = "") -> None:
    """Show what would be installed; nothing is changed."""
    from pipeline.app import command_service

    command_service.describe(config, name, account)
