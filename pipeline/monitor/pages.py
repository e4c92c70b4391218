"""Pages of the monitor: what is answered to each address, as one table."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from msgspec import Struct

from pipeline.engine.observer import Observer
from pipeline.health.collector import Deliveries
from pipeline.health.model import Health
from pipeline.monitor.metrics import CONTENT_TYPE, Metrics
from pipeline.monitor.page.parts import Collects
from pipeline.monitor.readiness import readiness

#: A page is good for so many times as long as it took to make: however often it is asked for, that
#: never takes more than a twentieth of the event loop's time, which documents need.
MAX_SHARE = 20


class Watched(Struct, frozen=True):
    """What the pages tell of."""

    collector: Collects
    observer: Observer
    deliveries: Deliveries
    metrics: Metrics


class Page(Struct, frozen=True):
    """The answer to a request."""

    body: bytes
    content_type: str
    status: int = 200


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

WATCHED = web.AppKey("watched", Watched)


async def ping(_: web.Request) -> web.Response:
    """Answer that the event loop turns."""
    return web.Response(text="ok\n")


def ready(_: Watched, health: Health) -> Page:
    """Answer 200 while every source and destination works, else 503; and why, as JSON."""
    body = msgspec.json.format(msgspec.json.encode(readiness(health)), indent=2) + b"\n"
    return Page(body, "application/json; charset=utf-8", 200 if health.ready else 503)


def metrics(watched: Watched, health: Health) -> Page:
    """Answer the metrics, in the text format of Prometheus."""
    snapshot, delivered = watched.observer.snapshot(), watched.deliveries.delivered
    return Page(watched.metrics.render(health, snapshot, delivered), CONTENT_TYPE)


class Paced:
    """A page that is made of the health, at most so often."""

    def __init__(self, make: Callable[[Watched, Health], Page]) -> None:
        self._make = make
        self._page = Page(b"", "")
        self._good_until = 0.0

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a request."""
        # Windows' monotonic clock stands still for some 16 ms, longer than most pages take.
        if time.perf_counter() >= self._good_until:
            watched = request.app[WATCHED]
            health = await watched.collector.current()
            began = time.perf_counter()
            self._page = self._make(watched, health)
            now = time.perf_counter()
            self._good_until = now + MAX_SHARE * (now - began)
        page = self._page
        headers = {"Content-Type": page.content_type}
        return web.Response(body=page.body, status=page.status, headers=headers)


def routes() -> dict[str, Handler]:
    """What is answered to GET and HEAD of each path, for one server."""
    return {
        "/ping": ping,
        "/ready": Paced(ready).answer,
        "/metrics": Paced(metrics).answer,
    }
