"""A real OpenSSH server on loopback, as a process of our own, and OpenSSH's client to upload with.

It serves the account that runs the tests, by key only: a password needs a system's own accounts.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SSHD = Path(shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin") or "/usr/sbin/sshd")
PATIENCE = 30

CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
{keys}
PidFile {folder}/pid
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 200
Subsystem sftp internal-sftp
ForceCommand {command}
"""


def missing() -> str:
    """Why it can't run here; "" if it can."""
    if not SSHD.exists():
        return "there is no OpenSSH server (apt package openssh-server)"
    if any(shutil.which(name) is None for name in ("sftp", "ssh-keygen")):
        return "there is no OpenSSH client (apt package openssh-client)"
    return ""


class Sshd:
    """The server. files: the folder that a sign-in leads to; key: the private key to sign in by."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.key = folder / "user"
        self.host_key = folder / "host"
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.port = _free_port()
        self.command = f"internal-sftp -d {self.files}"
        self.keys = [self.host_key]
        self._process: subprocess.Popen[bytes] | None = None
        make_key(self.key)
        make_key(self.host_key)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.host_key)

    @property
    def known_hosts(self) -> str:
        """The line of known_hosts for it."""
        kind, data = Path(f"{self.host_key}.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {data}\n"

    def start(self) -> None:
        config = self.folder / "sshd_config"
        keys = "\n".join(f"HostKey {key}" for key in self.keys)
        config.write_text(
            CONFIG.format(port=self.port, keys=keys, folder=self.folder, command=self.command)
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=log)
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self._process.poll() is not None or time.monotonic() > until:
                pytest.skip(f"sshd does not start here: {(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self.drop()
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def drop(self) -> int:
        """End all connections at once; how many processes that were."""
        assert self._process is not None
        found = _below(self._process.pid)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(found)

    def sftp(self, *commands: str) -> None:
        """Give commands to OpenSSH's own client, which has to succeed."""
        options = ["-F", "none", "-o", "StrictHostKeyChecking=no"]
        options += ["-o", "UserKnownHostsFile=/dev/null"]
        subprocess.run(
            ["sftp", "-q", "-b", "-", "-P", str(self.port), "-i", str(self.key), *options,
             f"{self.user}@127.0.0.1"],
            input="\n".join(commands).encode(), check=True, capture_output=True, timeout=PATIENCE,
        )  # fmt: skip

    def upload(self, name: str, data: bytes) -> None:
        """As careful senders do: under another name, then renamed into place."""
        local = self.folder / "upload"
        local.write_bytes(data)
        self.sftp(f'put "{local}" "{name}.filepart"', f'rename "{name}.filepart" "{name}"')

    def section(self, **keys: object) -> str:
        """The section of a source that it is."""
        settings = {
            "name": "box",
            "kind": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "fingerprint": self.fingerprint,
            "acknowledge": "remove",
            "settle": 0,
            "retry_wait": 0.01,
            "longest_retry_wait": 0.02,
        } | keys
        lines = [f"{key} = {_toml(value)}" for key, value in settings.items() if value is not None]
        return "\n".join(["[[sources]]", f'key = {{ file = "{self.key}" }}', *lines, ""])


@contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    """A server for as long as the block runs; skips the test where there is none."""
    if why := missing():
        pytest.skip(why)
    one = Sshd(folder)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def make_key(path: Path, kind: str = "ed25519", phrase: str = "") -> None:
    path.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", phrase, "-f", path], check=True, timeout=PATIENCE
    )


def fingerprint(key: Path) -> str:
    """As OpenSSH itself says it."""
    done = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{key}.pub"], check=True, capture_output=True, timeout=PATIENCE
    )
    return done.stdout.decode().split()[1]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
    return f"'{value}'"


def _below(pid: int) -> list[int]:
    """The processes that descend from one."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: list[int] = []
    todo = [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
