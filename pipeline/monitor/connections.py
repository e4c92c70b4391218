"""Bounded connections: how many a server has, how long each may take, how large a request may be.

aiohttp waits for the head of a request, and for one who does not read the answer, as long as it
takes. Here each connection has a time by which something has to have happened, or it is cut off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from aiohttp import web

from pipeline.config.monitor import LOCALHOST, Address

#: Connections at once, at most; who comes then is told so, and cut off.
MAX_CONNECTIONS = 32
#: Seconds from the connection to the end of a request's head; and from there until its answer has
#: been read and the next request has come.
HEAD_TIMEOUT = 10.0
ANSWER_TIMEOUT = 30.0
#: Bytes of a request's first line and of one header, and headers of a request, at most.
MAX_LINE = 4096
MAX_HEADERS = 64
#: Seconds in which those who are being answered may be answered when the server stops.
STOP_TIMEOUT = 0.5

FULL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

#: What others send may be anything, and is nothing for the log.
_SILENT = logging.getLogger(__name__)
_SILENT.disabled = True


@asynccontextmanager
async def serving(app: web.Application, address: Address) -> AsyncIterator[Sequence[Address]]:
    """Answer by an application while the block runs; gives where. Raises OSError."""
    runner = web.AppRunner(app, shutdown_timeout=STOP_TIMEOUT, handler_cancellation=True)
    await runner.setup()
    assert runner.server is not None
    server: asyncio.Server | None = None
    try:
        # A name may have several addresses, of which a container often lacks one.
        host = "127.0.0.1" if address.host == LOCALHOST else address.host
        server = await asyncio.get_running_loop().create_server(
            Connections(runner.server), host, address.port, backlog=MAX_CONNECTIONS
        )
        yield [Address(*one.getsockname()[:2]) for one in server.sockets]
    finally:
        with anyio.CancelScope(shield=True):
            if server is not None:
                server.close()
            await runner.cleanup()


def keep(request: web.Request) -> None:
    """Let the connection of a request be for ANSWER_TIMEOUT more."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    connection.allow(ANSWER_TIMEOUT)


class Connections:
    """Makes the protocol of each new connection to a server, and counts those that are open."""

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self.open = 0

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        if self.open >= MAX_CONNECTIONS:
            return _Full()
        return Connection(
            self,
            self._server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=HEAD_TIMEOUT,
            logger=_SILENT,
            access_log=None,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_HEADERS,
            lingering_time=0,
        )


class Connection(web.RequestHandler):
    """One connection. It is cut off when the time that it was allowed is over."""

    __slots__ = ("_all", "_timer")

    def __init__(self, connections: Connections, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._all = connections
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and begin to wait for a request."""
        super().connection_made(transport)
        self._all.open += 1
        self.allow(HEAD_TIMEOUT)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it no more."""
        self._all.open -= 1
        self._stop_timer()
        super().connection_lost(exc)

    def allow(self, seconds: float) -> None:
        """Cut it off after so many seconds from now, and not earlier."""
        self._stop_timer()
        if self.transport is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._cut_off)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut_off(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Full(asyncio.Protocol):
    """A connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(FULL)
        transport.close()
