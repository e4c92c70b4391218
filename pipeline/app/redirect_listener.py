"""Loopback redirect receiver (RFC 8252, 7.3): a page on this machine to which a browser comes back.

It takes one path, and passes on what it is asked for; what comes of that is what it shows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from html import escape

from aiohttp import web
from msgspec import Struct

from pipeline.sign_in import ListenAddress

#: Seconds that an answer is given to reach the browser when the receiver closes.
CLOSING = 5.0
#: Bytes of an address, at most: the codes of some platforms have thousands.
MAX_LINE = 65_536

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Synqup</title></head>
<body><p>{sentence}</p><p>{more}</p></body></html>
"""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Shown(Struct, frozen=True):
    """What the browser shows. is_end: whether there is nothing left to do in it."""

    status: int
    sentence: str
    is_end: bool = True


#: Takes the address that the browser came to, and returns what it shows.
Receive = Callable[[str], Awaitable[Shown]]


@asynccontextmanager
async def listening(address: ListenAddress, receive: Receive) -> AsyncIterator[int]:
    """Listen while the block runs; yields the port. Raises OSError if it is taken."""

    async def handle(request: web.Request) -> web.Response:
        if request.rel_url.raw_path != address.path:
            raise web.HTTPNotFound
        shown = await receive(str(request.rel_url))
        more = "You can close this window." if shown.is_end else "The sign-in still waits."
        page = PAGE.format(sentence=escape(shown.sentence), more=more)
        return web.Response(
            status=shown.status, text=page, content_type="text/html", headers=HEADERS
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", handle, allow_head=False)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=CLOSING,
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, address.host, address.port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
