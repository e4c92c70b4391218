"""Monitor server: listens at one address and answers there, as long as its scope lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pipeline.config.monitor import LOCALHOST, Address, MonitorSettings, is_loopback
from pipeline.engine.observer import Observer
from pipeline.health.collector import Collector, Deliveries
from pipeline.monitor.connections import (
    ANSWER_TIMEOUT,
    MAX_CONNECTIONS,
    Connection,
    Connections,
)
from pipeline.monitor.guard import Guard
from pipeline.monitor.metrics import Metrics
from pipeline.monitor.pages import WATCHED, Watched, routes

log = structlog.get_logger(__name__)

#: Seconds in which those who are being answered may be answered when it stops.
STOP_TIMEOUT = 0.5
#: Bytes of a request's body: no page takes one.
MAX_BODY = 1024
#: Headers of each answer: nothing of it is kept, and no page of another site makes use of it.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "synqup",
    "X-Content-Type-Options": "nosniff",
}


@asynccontextmanager
async def listening(
    settings: MonitorSettings, collector: Collector, observer: Observer, deliveries: Deliveries
) -> AsyncIterator[Sequence[Address]]:
    """Answer while the block runs; gives the addresses. Raises OSError or SecretMissing."""
    address = settings.address
    assert address is not None
    guard = Guard(settings)
    await guard.open()
    app = web.Application(middlewares=[_guarded(guard)], client_max_size=MAX_BODY)
    app[WATCHED] = Watched(collector, observer, deliveries, Metrics())
    app.on_response_prepare.append(_add_headers)
    for path, page in routes().items():
        app.router.add_get(path, page)
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
        bound = [Address(*one.getsockname()[:2]) for one in server.sockets]
        if settings.token is None and not all(is_loopback(one.host) for one in bound):
            raise OSError(0, f"{address.host} is not this machine alone, and there is no token")
        yield bound
    finally:
        with anyio.CancelScope(shield=True):
            if server is not None:
                server.close()
            await runner.cleanup()


def _guarded(guard: Guard) -> Middleware:
    """Middleware that answers only whom the guard lets pass, and contains what a page raises."""
    is_logged = False

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal is_logged
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.allow(ANSWER_TIMEOUT)
        response: web.StreamResponse
        if (refusal := await guard.refusal(request.headers)) is not None:
            status, sentence = refusal
            response = web.Response(status=status, text=f"{sentence}.\n")
            if status == 401:
                response.headers["WWW-Authenticate"] = "Bearer"
            return response
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception as error:
            if not is_logged:
                is_logged = True
                log.error("the monitor can't answer", path=request.path, exc_info=error)
            return web.Response(status=500, text="A fault of synqup's own; see its log.\n")

    return answer


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = HEADERS["Server"]
