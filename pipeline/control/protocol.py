"""Control protocol: the lines of JSON that commands and the service send each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

#: The names in the state folder: of the socket, and on Windows of the file with port and token.
SOCKET = "control.sock"
DOOR = "control.json"
#: Bytes of a request, at most.
MAX_LINE = 1_000_000
#: Bytes of the path of a socket, at most.
MAX_PATH = 100


class Request(Struct, frozen=True):
    """What is asked for. token: on Windows alone; who: what the one who asks is called."""

    action: str
    arguments: Mapping[str, Any] = {}
    who: str = ""
    token: str = ""


class Failure(Struct, frozen=True):
    """Why it can't be done, as the parts of the SynqupError `kind`."""

    subject: str
    reason: str
    remedy: str
    kind: str


class Answer(Struct, frozen=True):
    """What came of a request: its result, or why there is none."""

    ok: bool
    result: Any = None
    failure: Failure | None = None


class Door(Struct, frozen=True):
    """Where the service listens on Windows, and what whoever asks has to know."""

    port: int
    token: str


def encoded(message: Request | Answer) -> bytes:
    """The line of a message."""
    return msgspec.json.encode(message) + b"\n"


@contextmanager
def socket_path(path: Path) -> Iterator[str]:
    """A name of a socket that the system takes, which allows a hundred bytes or so."""
    if len(os.fsencode(path)) <= MAX_PATH or sys.platform != "linux":
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
