"""Service definition: what is to be installed, the same for every service manager."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from pipeline.errors import SynqupError

#: A name that systemd, Windows and files can bear.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
#: Seconds beyond the drain that a stop may take.
STOP_MARGIN = 30


class ServiceError(SynqupError):
    """A service that can't be installed, removed, started or stopped."""

    reason = "the service manager refuses"


class ServiceDefinition(Struct, frozen=True):
    """A service. All paths are absolute.

    program: the command line in front of `run`. installed_in: the folders of its interpreter and of
    its modules.
    account: under which it runs. state_dir: its state folder; folders: the others that it writes
    to. included: configuration files besides `config`; secret_files: what else it reads. variables:
    of the environment, which hold secrets. shutdown_grace: seconds that its drain may take.
    misconfigured: the exit code after which it is not started again, for a person has to correct
    something first.
    """

    name: str
    config: Path
    program: tuple[str, ...]
    installed_in: tuple[Path, ...]
    account: str
    state_dir: Path
    folders: tuple[Path, ...]
    included: tuple[Path, ...] = ()
    secret_files: tuple[Path, ...] = ()
    variables: tuple[str, ...] = ()
    shutdown_grace: float = 30.0
    misconfigured: int = 2

    @property
    def writable(self) -> tuple[Path, ...]:
        """All folders that it writes to, without those that lie in another one."""
        return outermost((self.state_dir, *self.folders))

    @property
    def to_be_made(self) -> tuple[Path, ...]:
        """The folders that have to be there before it is started, outer ones first.

        The state folder is one of them wherever it lies, for root may write a sign-in to it.
        """
        return tuple(dict.fromkeys((*self.writable, self.state_dir)))

    @property
    def environment_file(self) -> Path:
        """The file that holds the variables with secrets, beside the configuration."""
        return self.config.parent / f"{self.name}.env"

    @property
    def stop_timeout(self) -> int:
        """Seconds after which the service manager may end it by force."""
        return int(self.shutdown_grace) + STOP_MARGIN


def valid_name(name: str) -> str:
    """The name of a service, checked. Raises ValueError with what would be right."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f'"{name}" is no name for a service; write letters, digits, ".", "_" and "-" only,'
            " like synqup-2"
        )
    return name


def outermost(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """The folders, sorted, without those that lie in another one of them."""
    kept: list[Path] = []
    for folder in sorted(set(folders)):
        if not any(folder.is_relative_to(other) for other in kept):
            kept.append(folder)
    return tuple(kept)
