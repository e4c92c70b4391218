"""The link to systemd: made only where systemd asks for it, and never in anybody's way."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from pipeline.app.service_manager.link import NoLink
from pipeline.app.service_manager.sd_notify import MAX_STATUS, SystemdLink, connect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd is Linux's")


@pytest.mark.parametrize(
    "environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}], ids=str
)
def test_without_a_socket_there_is_no_link(environment: dict[str, str]) -> None:
    link = connect(environment)
    assert isinstance(link, NoLink)
    for tell in (link.ready, link.reloading, link.alive):
        tell()
    link.starting(1)
    link.stopping(1)
    link.status("words")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "180000000"}, 180.0),
        ({"WATCHDOG_USEC": "180000000", "WATCHDOG_PID": str(os.getpid())}, 180.0),
        ({"WATCHDOG_USEC": "180000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert connect({"NOTIFY_SOCKET": "/run/x", **environment}).alive_every == seconds


def test_messages_are_those_of_the_protocol(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(10)
        link = SystemdLink(path, 3.0)
        link.starting(1.5)
        assert listening.recv(4096) == b"EXTEND_TIMEOUT_USEC=1500000"
        link.ready()
        assert listening.recv(4096) == b"READY=1"
        link.alive()
        assert listening.recv(4096) == b"WATCHDOG=1"
        link.stopping(37)
        assert listening.recv(4096) == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=37000000"
        link.status("one")
        link.status("one")
        link.status("two\nREADY=1" + "x" * 10_000)
        assert listening.recv(4096) == b"STATUS=one"
        said = listening.recv(4096).decode()
        # Words from outside can't become a message of their own.
        assert said.startswith("STATUS=two READY=1xxx")
        assert "\n" not in said
        assert len(said) < MAX_STATUS + 100


def test_nobody_who_listens_is_nobody_who_is_missed(tmp_path: Path) -> None:
    SystemdLink(str(tmp_path / "gone")).ready()
    path = str(tmp_path / "full")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        link = SystemdLink(path, 1.0)
        for _ in range(10_000):
            link.alive()
