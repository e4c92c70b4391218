"""A service that tells a socket of a test what it would tell systemd."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.processes import PATIENCE, ROOT

MAIN = "from pipeline.app.cli import main; main()"


class Notified:
    """A running service. messages: what it has told so far, each with the lines of a datagram."""

    def __init__(self, listening: socket.socket, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.messages: list[dict[str, str]] = []
        self._socket = listening

    def receive(self) -> list[dict[str, str]]:
        """Take what has arrived; the messages that are new."""
        known = len(self.messages)
        self._socket.setblocking(False)
        try:
            while True:
                lines = self._socket.recv(65536).decode().split("\n")
                self.messages.append(dict(line.partition("=")[::2] for line in lines))
        except BlockingIOError:
            return self.messages[known:]

    def until(self, name: str, value: str = "", after: int = 0) -> int:
        """Wait for a message in which a variable has this text in it; its number.

        after: the number of the first message that counts.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.receive()
            for number, message in enumerate(self.messages[after:], after):
                if value in message.get(name, "") and name in message:
                    return number
            time.sleep(0.02)
        raise AssertionError(self.messages)

    def names(self) -> list[str]:
        """The names of all variables so far, each once, in the order of their first message."""
        return list(dict.fromkeys(name for message in self.messages for name in message))


@contextmanager
def notified(
    config: Path, address: str, *, watchdog: float = 1.0, before: str = ""
) -> Iterator[Notified]:
    """address: of the socket, as systemd writes it. before: is executed before the program."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(f"\0{address[1:]}" if address.startswith("@") else address)
    usec = str(int(watchdog * 1e6))
    with (
        listening,
        subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{MAIN}", "run", "--config", str(config)],
            cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": usec},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            yield Notified(listening, process)
        finally:
            process.kill()
