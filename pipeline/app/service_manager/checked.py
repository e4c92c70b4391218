"""Check before an installation: `synqup check`, by the account that is to run the service."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.app.service_manager.definition import ServiceDefinition, ServiceError
from pipeline.files import os_reason, read_file

#: Bytes of a file of variables.
MAX_ENVIRONMENT_FILE = 100_000
#: What the check gets of the environment of whoever installs: nothing that a service lacks.
_KEPT = ("PATH", "LANG", "LC_ALL", "TERM", "SYSTEMROOT", "PROGRAMDATA", "TEMP", "TMP")


class CheckFailed(ServiceError):
    """`synqup check` has said what can't work. code: its exit code."""

    reason = "it is not installed, for what `check` says"
    remedy = "Correct that, and install it again"

    def __init__(self, subject: str, code: int) -> None:
        """code: the exit code of the check."""
        self.code = code
        super().__init__(subject)


def check(definition: ServiceDefinition, **identity: Any) -> None:
    """Run `synqup check` on the terminal. identity: of whom, as for subprocess.run().

    Raises CheckFailed, and ServiceError where that account can't even run the program.
    """
    command = [*definition.program, "check", "--config", str(definition.config)]
    subject = f"service {definition.name}"
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            cwd=Path(definition.config.anchor),
            env=_environment(definition),
            check=False,
            **identity,
        )
    except OSError as error:
        raise ServiceError(
            subject,
            f"the account {definition.account} can't run {definition.program[0]}"
            f" ({os_reason(error)})",
            "Install synqup where that account may read it, such as /opt/synqup",
        ) from None
    if done.returncode:
        raise CheckFailed(subject, done.returncode)


def read_variables(path: Path) -> dict[str, str]:
    """The lines NAME=VALUE of a file, as EnvironmentFile= of systemd.exec(5) reads the usual ones.

    A missing file has none. Raises ServiceError if it can't be read.
    """
    try:
        text = read_file(path, MAX_ENVIRONMENT_FILE).decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = os_reason(error) if isinstance(error, OSError) else "it is not UTF-8"
        raise ServiceError(str(path), f"the variables can't be read ({why})") from None
    variables = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith(("#", ";")):
            variables[name.strip()] = _unquoted(value.strip())
    return variables


def _unquoted(value: str) -> str:
    if value[:1] not in ("'", '"'):
        return value
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value


def _environment(definition: ServiceDefinition) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    given = read_variables(definition.environment_file) if definition.variables else {}
    return {**kept, "PYTHONUTF8": "1", **given}
