"""Monitor server: listens at one address and answers there, as long as its scope lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import anyio
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from pipeline.config.monitor import Address, MonitorSettings, is_loopback
from pipeline.engine.observer import Observer
from pipeline.health.collector import Deliveries
from pipeline.monitor.connections import keep, serving
from pipeline.monitor.guard import Guard
from pipeline.monitor.metrics import Metrics
from pipeline.monitor.page.parts import Collects, Parts
from pipeline.monitor.page.site import Site
from pipeline.monitor.pages import WATCHED, Watched, routes

log = structlog.get_logger(__name__)

#: Bytes of a request's body: a form of the page.
MAX_BODY = 16_384
#: Headers of each answer: nothing of it is kept, and no page of another site makes use of it.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "synqup",
    "X-Content-Type-Options": "nosniff",
}


class Listening(Struct, frozen=True):
    """A server that answers: where, and with which page."""

    addresses: Sequence[Address]
    site: Site | None = None


@asynccontextmanager
async def listening(
    settings: MonitorSettings,
    collector: Collects,
    observer: Observer,
    deliveries: Deliveries,
    page: Parts | None = None,
) -> AsyncIterator[Listening]:
    """Answer while the block runs; gives where. Raises OSError or SecretMissing.

    page: of what the page tells; None: there is none.
    """
    address = settings.address
    assert address is not None
    guard = Guard(settings)
    await guard.open()
    site = None
    if page is not None:
        site = Site(page, guard.token, guard.operator_token, keep)
    served = routes()
    app = web.Application(middlewares=[_guarded(guard, served)], client_max_size=MAX_BODY)
    app[WATCHED] = Watched(collector, observer, deliveries, Metrics())
    app.on_response_prepare.append(_add_headers)
    for path, answer in served.items():
        app.router.add_get(path, answer)
    for method, path, handler in site.routes() if site is not None else ():
        app.router.add_route(method, path, handler)
    async with serving(app, address) as bound:
        if settings.token is None and not all(is_loopback(one.host) for one in bound):
            raise OSError(0, f"{address.host} is not this machine alone, and there is no token")
        async with anyio.create_task_group() as group:
            if site is not None:
                group.start_soon(site.run)
            yield Listening(bound, site)
            group.cancel_scope.cancel()


def _guarded(guard: Guard, served: Collection[str]) -> Middleware:
    """Middleware that answers only whom the guard lets pass, and contains what a page raises.

    served: the paths for programs, which bear a token. People sign in, which the page sees to.
    """
    is_logged = False

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal is_logged
        keep(request)
        response: web.StreamResponse
        is_known = isinstance(request.match_info.route.resource, web.Resource)
        is_for_people = is_known and request.path not in served
        headers = request.headers
        refusal = guard.foreign(headers) if is_for_people else await guard.refusal(headers)
        if refusal is not None:
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
