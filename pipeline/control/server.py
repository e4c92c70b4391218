"""Control server: takes what commands ask of the running service, over a local socket.

A request is a line of JSON, and so is its answer. Only the account of the service, and root, may
ask: the socket of a Unix system has mode 0600, and tells whose process it is that asks. Windows has
a port of this machine instead, and a file that only those accounts can read holds its token.
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import socket
import stat
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from pipeline.control.protocol import (
    DOOR,
    MAX_LINE,
    SOCKET,
    Answer,
    Door,
    Failure,
    Request,
    encoded,
    socket_path,
)
from pipeline.durable import replace_file
from pipeline.errors import SynqupError
from pipeline.files import os_reason
from pipeline.text import sanitized

log = structlog.get_logger(__name__)

#: Does what is asked for: with its arguments, and the name of who asks. SynqupError if it can't.
Handler = Callable[[Mapping[str, Any], str], Awaitable[Any]]

#: Requests that are answered at once; others wait.
MAX_AT_ONCE = 8
#: Seconds that a client has for its request, and that an answer may take.
ASKING = 10.0
ANSWERING = 120.0
#: Seconds for one who may not ask.
REFUSING = 2.0
#: Seconds until it is tried again to listen.
RETRY = 30.0
#: Characters of a name that a client gives itself.
MAX_NAME = 60


class ControlServer:
    """Answers requests by their handlers, while run() runs.

    loopback: whether a port of this machine is used, as on Windows.
    """

    def __init__(
        self,
        state_dir: Path,
        handlers: Mapping[str, Handler],
        *,
        loopback: bool = sys.platform == "win32",
    ) -> None:
        self._state_dir = state_dir
        self._handlers = handlers
        self._loopback = loopback
        self._token = secrets.token_hex(32)
        self._limiter = anyio.CapacityLimiter(MAX_AT_ONCE)

    async def run(self) -> None:
        """Serve until cancelled; where that is not possible, say so once and try again."""
        reported = ""
        while True:
            try:
                async with self._listening() as listener:
                    await listener.serve(self._answer)
            except OSError as error:
                if (reason := os_reason(error)) != reported:
                    reported = reason
                    log.error(
                        "commands can't reach this service",
                        reason=reason,
                        remedy="Look at state_dir; it will be tried again",
                    )
            await anyio.sleep(RETRY)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[Any]:
        if self._loopback:
            tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
            door = self._state_dir / DOOR
            port = int(tcp.extra(SocketAttribute.local_port))  # noqa: S610 - no Django
            text = msgspec.json.encode(Door(port, self._token))
            await anyio.to_thread.run_sync(replace_file, door, BytesIO(text), 0o600)
            async with tcp:
                try:
                    yield tcp
                finally:
                    door.unlink(missing_ok=True)
            return
        path = self._state_dir / SOCKET
        # The lock of the state folder is ours: what an earlier process left belongs to nobody.
        _remove_socket(path)
        with socket_path(path) as reachable:
            listener = await anyio.create_unix_listener(reachable, mode=0o600)
        async with listener:
            try:
                yield listener
            finally:
                with suppress(OSError):
                    _remove_socket(path)

    async def _answer(self, client: SocketStream) -> None:
        """Answer one request of one client; a client that misbehaves is left."""
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with client:
                if not self._loopback and (refusal := _refusal(client)):
                    await _refuse(client, refusal)
                    return
                async with self._limiter:
                    answer = await self._answered(client)
                    with anyio.move_on_after(ASKING):
                        await client.send(encoded(answer))

    async def _answered(self, client: SocketStream) -> Answer:
        try:
            with anyio.fail_after(ASKING):
                receiving = BufferedByteReceiveStream(client)
                line = await receiving.receive_until(b"\n", MAX_LINE)
            request = msgspec.json.decode(line, type=Request)
        except (TimeoutError, anyio.IncompleteRead, anyio.DelimiterNotFound, msgspec.DecodeError):
            return Answer(False, failure=Failure("the request", "it is none", "", "ControlError"))
        if self._loopback and not hmac.compare_digest(request.token, self._token):
            return Answer(False, failure=_NOT_YOURS)
        return await self._done(request, self._who(client, request))

    def _who(self, client: SocketStream, request: Request) -> str:
        """The account that asks; with a token it is believed what it is called."""
        claimed = sanitized(request.who.strip(), MAX_NAME)
        if self._loopback:
            return claimed or "somebody on this machine"
        owner = _peer(client)
        name = account_name(owner if owner is not None else os.geteuid())
        return f"{name} ({claimed})" if claimed and claimed != name and owner == 0 else name

    async def _done(self, request: Request, who: str) -> Answer:
        handler = self._handlers.get(request.action)
        if handler is None:
            reason = "this service does not know it; it may be of another version"
            failure = Failure(request.action, reason, "Restart the service", "ControlError")
            return Answer(False, failure=failure)
        try:
            with anyio.fail_after(ANSWERING):
                result = await handler(request.arguments, who)
            return Answer(True, result=msgspec.to_builtins(result))
        except SynqupError as error:
            failed = Failure(error.subject, error.reason, error.remedy, type(error).__name__)
        except TimeoutError:
            failed = Failure(request.action, "it takes too long", "See synqup status", "StateError")
        except Exception as bug:
            log.exception("a request failed", action=request.action)
            failed = Failure(
                request.action,
                f"a fault of synqup's own ({type(bug).__name__})",
                "",
                "InternalError",
            )
        return Answer(False, failure=failed)


_NOT_YOURS = Failure(
    "the service",
    "only the account that runs it, and root, may ask",
    "Ask as one of them",
    "ControlError",
)


async def _refuse(client: SocketStream, refusal: Failure) -> None:
    """Tell a client why it may not ask, after it has sent all: else it may never read that."""
    with anyio.move_on_after(REFUSING):
        with suppress(anyio.IncompleteRead, anyio.DelimiterNotFound):
            await BufferedByteReceiveStream(client).receive_until(b"\n", MAX_LINE)
        await client.send(encoded(Answer(False, failure=refusal)))


def _refusal(client: SocketStream) -> Failure | None:
    """Why whoever has connected may not ask; None if it may, or the system does not tell."""
    owner = _peer(client)
    return None if owner is None or owner in (0, os.geteuid()) else _NOT_YOURS


def _peer(client: SocketStream) -> int | None:
    """The number of the account that has connected; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    shape = struct.Struct("3i")
    raw: socket.socket = client.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django
    _, user, _ = shape.unpack(raw.getsockopt(socket.SOL_SOCKET, option, shape.size))
    return int(user)


def account_name(number: int) -> str:
    """The name of an account by its number."""
    with suppress(ImportError, KeyError):
        import pwd  # noqa: PLC0415 - Windows has none

        return str(pwd.getpwuid(number).pw_name)
    return f"account {number}"


def _remove_socket(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "this is no socket of synqup's own", str(path))
        path.unlink()
