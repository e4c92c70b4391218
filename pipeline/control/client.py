"""Control client: asks the running service, from a command."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline import errors
from pipeline.control.protocol import DOOR, SOCKET, Answer, Door, Request, encoded, socket_path
from pipeline.errors import ControlError, SynqupError
from pipeline.files import os_reason, read_file

#: Seconds to wait for an answer.
PATIENCE = 150.0
#: Bytes of an answer, and of the file with the token, at most.
MAX_ANSWER = 64_000_000
MAX_DOOR = 1000


class NoService(ControlError):
    """No service works with the state folder."""

    reason = "no service works with this state folder"
    remedy = "Start it first: synqup service start, or synqup run"


def ask(
    state_dir: Path,
    action: str,
    arguments: Mapping[str, Any],
    *,
    loopback: bool = sys.platform == "win32",
) -> Any:
    """Ask the service, and return its result. NoService; any SynqupError that the service has."""
    token, door = "", None
    if loopback:
        door = _door(state_dir)
        token = door.token
    request = Request(action, arguments, own_name(), token)
    try:
        with _connected(state_dir, door) as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(encoded(request))
            line = _line(connection)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoService(str(state_dir)) from None
    except PermissionError:
        raise ControlError(
            "the service",
            "only the account that runs it, and root, may ask",
            "Ask as one of them (sudo)",
        ) from None
    except OSError as error:
        raise ControlError(
            "the service", f"it does not answer ({os_reason(error)})", "See synqup status"
        ) from None
    return _result(line)


def _connected(state_dir: Path, door: Door | None) -> socket.socket:
    if door is not None:
        return socket.create_connection(("127.0.0.1", door.port), PATIENCE)
    connection = socket.socket(socket.AF_UNIX)
    try:
        with socket_path(state_dir / SOCKET) as path:
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _door(state_dir: Path) -> Door:
    try:
        return msgspec.json.decode(read_file(state_dir / DOOR, MAX_DOOR), type=Door)
    except (FileNotFoundError, msgspec.DecodeError):
        raise NoService(str(state_dir)) from None
    except OSError as error:
        raise ControlError(
            str(state_dir / DOOR),
            f"it can't be read ({os_reason(error)})",
            "Ask as another account",
        ) from None


def _line(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := connection.recv(1 << 16):
        parts.append(part)
        size += len(part)
        if part.endswith(b"\n"):
            break
        if size > MAX_ANSWER:
            raise OSError("its answer has no end")
    return b"".join(parts)


def _result(line: bytes) -> Any:
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except msgspec.DecodeError:
        raise ControlError(
            "the service", "it has ended before it answered", "Ask again when it runs"
        ) from None
    if answer.failure is None:
        return answer.result
    one = answer.failure
    kind = getattr(errors, one.kind, ControlError)
    if not (isinstance(kind, type) and issubclass(kind, SynqupError)):
        kind = ControlError
    if kind is errors.ConfigurationError:
        kind = errors.NotKnown
    raise kind(one.subject, one.reason, one.remedy)


def own_name() -> str:
    """What whoever asks is called: with sudo, whose command that is."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "somebody on this machine"
