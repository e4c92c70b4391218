"""Host key: which key of a server is trusted, and what is said of another one.

A key is never trusted for being the first that was seen: a person compares it with what the
server's operator says, and pins it. Without a pinned key nobody signs in.
"""

from __future__ import annotations

from pathlib import Path

import asyncssh
from msgspec import Struct

from pipeline.errors import SourceUnreachable
from pipeline.files import os_reason, read_file
from stages.sources.sftp.settings import LARGEST_KNOWN_HOSTS, Sftp

#: Signature algorithms by the type of key that they need, in the order in which keys are asked for.
ALGORITHMS = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-256", "rsa-sha2-512"),
)


class HostKeyNotPinned(SourceUnreachable):
    """No key of the server is pinned, so that nothing tells whether it is the right server."""

    reason = "nothing says which server is the right one"


class HostKeyDiffers(SourceUnreachable):
    """The server shows another key than the pinned one."""

    reason = "the server has another key than the one that is pinned"


class SeenKey(Struct, frozen=True):
    """A key as a server shows it. type: as in ssh-ed25519. fingerprint: SHA256:… as of OpenSSH."""

    type: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.type})"


class HostKeys:
    """The keys that are trusted for one server, read anew for each connection."""

    def __init__(self, settings: Sftp) -> None:
        self._settings = settings
        self._subject = f"source {settings.name}"

    @property
    def are_pinned(self) -> bool:
        """Whether the configuration says anything of the server's key."""
        return bool(self._settings.fingerprint or self._settings.known_hosts)

    def known(self) -> asyncssh.SSHKnownHosts | tuple[list[str], list[str], list[str]]:
        """What asyncssh is to compare with; never nothing, with which it would trust any key.

        Raises HostKeyNotPinned if the file can't be used. Blocks.
        """
        path = self._settings.known_hosts
        if path is None:
            return [], [], []
        try:
            return asyncssh.import_known_hosts(_read(path))
        except OSError as error:
            why = os_reason(error)
        except ValueError as error:
            why = str(error)
        raise HostKeyNotPinned(
            self._subject, f"{path} can't be read ({why})", "Name a file as ssh has it"
        )

    def trusts(self, key: asyncssh.SSHKey) -> bool:
        """Whether it is the key with the pinned fingerprint."""
        return bool(self._settings.fingerprint) and key.get_fingerprint() == (
            self._settings.fingerprint
        )

    def refusal(self, seen: SeenKey | None) -> SourceUnreachable:
        """What is to be said when the server's key is not trusted. seen: the key that it shows."""
        shown = f"the server shows the key {seen}" if seen else "the server's key can't be read"
        server = self._settings.server
        if not self.are_pinned:
            pin = f'write fingerprint = "{seen.fingerprint}"' if seen else "pin it"
            return HostKeyNotPinned(
                self._subject,
                f"{shown}, and nothing says whether it is the right one: nobody has signed in",
                f"Ask the operator of {server} for the fingerprint; if it is this one, {pin}"
                " in this section",
            )
        if self._settings.known_hosts is not None:
            pinned = f"{self._settings.known_hosts} does not hold it for {self._address}"
        else:
            pinned = f"pinned is {self._settings.fingerprint}"
        return HostKeyDiffers(
            self._subject,
            f"{shown}, but {pinned}: nobody has signed in, for it may be another server",
            f"Ask the operator of {server} whether the key was changed; pin the new one only if"
            " it is the one that they name",
        )

    @property
    def _address(self) -> str:
        """The server as a line of known_hosts begins."""
        server, port = self._settings.server, self._settings.port
        return server if port == 22 else f"[{server}]:{port}"


def _read(path: Path) -> str:
    return read_file(path, LARGEST_KNOWN_HOSTS).decode("utf-8", "replace")
