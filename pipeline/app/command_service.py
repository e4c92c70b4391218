"""What the service commands do."""

from __future__ import annotations

import shlex
import subprocess
import sys
from getpass import getpass
from pathlib import Path

import typer

from pipeline.app.cli_common import leave_with
from pipeline.app.exit_codes import ExitCode
from pipeline.app.service_definition import define_service
from pipeline.app.service_manager.checked import CheckFailed
from pipeline.app.service_manager.definition import ServiceDefinition
from pipeline.app.service_manager.manager import ServiceManager, manager_of_this_machine
from pipeline.app.wiring import load_config
from pipeline.sign_in import needs_sign_in, sign_in_command
from pipeline.text import printable


def install(config: Path, name: str, account: str, *, start: bool) -> None:
    """Install a service, or bring it up to date; say who has to sign in."""
    definition, manager = _defined(config, name, account)
    try:
        manager.install(definition, print, _password, start=start)
    except CheckFailed as failed:
        print(f"synqup: {failed}", file=sys.stderr)
        raise typer.Exit(failed.code) from None
    _tell_sign_ins(definition)


def uninstall(name: str) -> None:
    """Stop and remove a service."""
    manager_of_this_machine().uninstall(name, print)


def start(name: str) -> None:
    """Start a service."""
    manager_of_this_machine().start(name, print)


def stop(name: str) -> None:
    """Stop a service."""
    manager_of_this_machine().stop(name, print)


def tell_status(name: str) -> None:
    """Tell whether a service runs."""
    found = manager_of_this_machine().status(name)
    print(found.sentence)
    leave_with(ExitCode.OK if found.running else ExitCode.INCOMPLETE)


def describe(config: Path, name: str, account: str) -> None:
    """Print what would be installed."""
    definition, manager = _defined(config, name, account)
    print(manager.describe(definition), end="")


def _defined(config: Path, name: str, account: str) -> tuple[ServiceDefinition, ServiceManager]:
    manager = manager_of_this_machine()
    path = config.resolve()
    settings = load_config(path)
    account = account or manager.default_account(name)
    return define_service(name, path, settings, account), manager


def _tell_sign_ins(definition: ServiceDefinition) -> None:
    """Say which sources a person has to sign in to, and by which command."""
    config = load_config(definition.config)
    for source in config.sources:
        state = source.sign_in_state(config.shared_dir)
        if state is not None and needs_sign_in(state):
            command = f"{sign_in_command(source.name)} --config {_as_typed(definition.config)}"
            said = f"source {source.name}: a person has to sign in. Sign in with: {command}"
            print(printable(said))
            print("the service waits for that, and goes on by itself")


def _as_typed(path: Path) -> str:
    """A path as one word of a command line."""
    word = str(path)
    return subprocess.list2cmdline([word]) if sys.platform == "win32" else shlex.quote(word)


def _password() -> str:
    """The password of an account: asked for at a terminal, else a line of standard input."""
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass("Password of the account: ")
    line = sys.stdin.readline() if sys.stdin is not None else ""
    return line.rstrip("\r\n")
