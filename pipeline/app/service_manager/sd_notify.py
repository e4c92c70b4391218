"""systemd link: the protocol of sd_notify(3), datagrams to the socket that NOTIFY_SOCKET names.

Without that variable, as outside of systemd, there is no link. A datagram that can't be sent is
dropped: the next one says the same or better.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from pipeline.app.service_manager.link import Link, NoLink
from pipeline.text import sanitized

#: Characters of a status.
MAX_STATUS = 500


def connect(environment: Mapping[str, str] = os.environ) -> Link:
    """The link to the service manager that has started this process; NoLink without one."""
    address = environment.get("NOTIFY_SOCKET", "")
    # A name that begins with @ is one of the abstract namespace, whose first byte is 0.
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return NoLink()
    return SystemdLink(address, _watchdog_seconds(environment))


class SystemdLink:
    """Speaks to systemd. alive_every: as in Link."""

    def __init__(self, address: str, alive_every: float | None = None) -> None:
        self.alive_every = alive_every
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._status = ""

    def starting(self, seconds: float) -> None:
        """EXTEND_TIMEOUT_USEC, by which TimeoutStartSec= is prolonged."""
        self._send(f"EXTEND_TIMEOUT_USEC={_usec(seconds)}")

    def ready(self) -> None:
        """READY."""
        self._send("READY=1")

    def reloading(self) -> None:
        """RELOADING, with the time of the monotonic clock that Type=notify-reload wants."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, seconds: float) -> None:
        """STOPPING, with EXTEND_TIMEOUT_USEC, by which TimeoutStopSec= is prolonged."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={_usec(seconds)}")

    def alive(self) -> None:
        """WATCHDOG, where WatchdogSec= is set."""
        if self.alive_every is not None:
            self._send("WATCHDOG=1")

    def status(self, words: str) -> None:
        """STATUS, if it has changed."""
        if words != self._status:
            self._status = words
            self._send(f"STATUS={sanitized(words, MAX_STATUS)}")

    def _send(self, *assignments: str) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(assignments).encode(), self._address)


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Seconds of the watchdog, as sd_watchdog_enabled(3) reads them; None without one."""
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or not int(usec) or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1e6


def _usec(seconds: float) -> int:
    return int(seconds * 1e6)
