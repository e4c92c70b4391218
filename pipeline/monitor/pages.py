"""Pages of the monitor: what is answered to each address, as one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from pipeline.engine.observer import Observer
from pipeline.health.collector import Collector, Deliveries
from pipeline.monitor.metrics import CONTENT_TYPE, Metrics
from pipeline.monitor.readiness import readiness


class Watched(msgspec.Struct, frozen=True):
    """What the pages tell of."""

    collector: Collector
    observer: Observer
    deliveries: Deliveries
    metrics: Metrics


WATCHED = web.AppKey("watched", Watched)


async def ping(_: web.Request) -> web.Response:
    """Answer that the event loop turns."""
    return web.Response(text="ok\n")


async def ready(request: web.Request) -> web.Response:
    """Answer 200 while every source and destination works, else 503; and why, as JSON."""
    health = await request.app[WATCHED].collector.current()
    status = 200 if health.ready else 503
    return _json(readiness(health), status)


async def metrics(request: web.Request) -> web.Response:
    """Answer the metrics."""
    watched = request.app[WATCHED]
    health = await watched.collector.current()
    body = watched.metrics.render(health, watched.observer.snapshot(), watched.deliveries.delivered)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


#: What is answered to GET and HEAD of each path.
ROUTES: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    "/ping": ping,
    "/ready": ready,
    "/metrics": metrics,
}


def _json(value: Any, status: int) -> web.Response:
    body = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")
