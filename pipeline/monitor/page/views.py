"""Views: answers the addresses of the page that are looked at; nothing is changed by them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

import anyio
import anyio.to_thread
from aiohttp import web

from pipeline.document import Key
from pipeline.errors import NotKnown, SynqupError
from pipeline.ledger.search import find, keys_of, story
from pipeline.monitor.page.live import Live, TooMany
from pipeline.monitor.page.model import CompanyRow, Overview
from pipeline.monitor.page.parts import Parts
from pipeline.monitor.page.rendering import STATIC, static_file
from pipeline.monitor.page.request import Visit, pdf_response

#: Rows of one page of companies, of documents that were found, and of those that wait.
PER_PAGE = 50
#: Pages that can be asked for; characters of what is searched for.
MAX_PAGES = 200
MAX_QUERY = 200
#: Searches at once: each reads the ledger once through.
MAX_SEARCHES = 2
#: Seconds in which a reader has to take what he is sent.
SLOW = 10.0


class Views:
    """What can be looked at."""

    def __init__(
        self,
        parts: Parts,
        live: Live[Overview],
        keep: Callable[[web.Request], object],
    ) -> None:
        """keep: lets the connection of a request be, for a while more."""
        self._parts = parts
        self._live = live
        self._keep = keep
        self._searches = anyio.CapacityLimiter(MAX_SEARCHES)

    async def overview(self, visit: Visit) -> web.StreamResponse:
        """Answer the first screen."""
        it = await self._live.current()
        return visit.page("overview.html", it=it)

    async def companies(self, visit: Visit) -> web.StreamResponse:
        """Answer the companies: all, or those whose name, number or file has a text."""
        text = visit.argument("q", MAX_QUERY)
        it = await self._live.current()
        found = [one for one in it.companies if _fits(one, text.casefold())]
        page, rows, more = _paged(visit, found)
        return visit.page("companies.html", rows=rows, q=text, n=len(found), page=page, more=more)

    async def waiting(self, visit: Visit) -> web.StreamResponse:
        """Answer the documents that wait or are in quarantine, by their reasons."""
        it = await self._live.current()
        wanted = visit.argument("group", 40)
        groups = [one for one in it.groups if not wanted or one.id == wanted]
        return visit.page("waiting.html", groups=groups, wanted=wanted, names=await self._names())

    async def find(self, visit: Visit) -> web.StreamResponse:
        """Answer the documents that a text finds."""
        text = visit.argument("q", MAX_QUERY).strip()
        page = visit.number("p", MAX_PAGES)
        names, problem = await self._names(), None
        found: list[Any] = []
        try:
            if text:
                search = partial(
                    find,
                    self._parts.ledger,
                    text,
                    limit=PER_PAGE + 1,
                    offset=PER_PAGE * page,
                    companies=names,
                )
                found = await self._searched(search)
        except SynqupError as error:
            problem = error
        if len(found) == 1 and not page:
            return visit.go(_document(found[0].key))
        return visit.page(
            "find.html",
            q=text,
            rows=found[:PER_PAGE],
            page=page,
            more=len(found) > PER_PAGE,
            names=names,
            problem=problem,
        )

    async def document(self, visit: Visit) -> web.StreamResponse:
        """Answer the story of one document."""
        ledger = self._parts.ledger
        key = _key(visit)
        told = await self._searched(partial(story, ledger, key))
        if told is None and key.id and not key.source:
            keys = await self._searched(partial(keys_of, ledger, key.id))
            if keys:
                return visit.go(_document(keys[0]))
        if told is None:
            return visit.page("nothing.html", status=404)
        return visit.page(
            "document.html",
            it=told,
            names=await self._names(),
            readable=_document(told.document.key, "/readable") if self._parts.readables else "",
        )

    async def readable(self, visit: Visit) -> web.StreamResponse:
        """Answer one document as a PDF in the reader's language, or why it can't be shown."""
        if self._parts.readables is None:
            raise web.HTTPNotFound
        key = _key(visit)
        try:
            found = await self._parts.readables.readable(key, visit.language)
        except SynqupError as error:
            status = 404 if isinstance(error, NotKnown) else 409
            return visit.page("unreadable.html", status, problem=error, place=_document(key))
        self._keep(visit.request)
        return pdf_response(found)

    async def live(self, visit: Visit) -> web.StreamResponse:
        """Send the sections of the first screen whenever they change, until the reader goes."""
        try:
            reader = self._live.join((visit.language, visit.acts))
        except TooMany:
            return web.Response(status=503, headers={"Retry-After": "60"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            self._keep(visit.request)
            await response.prepare(visit.request)
            while True:
                message = await reader.next()
                self._keep(visit.request)
                with anyio.fail_after(SLOW):
                    await response.write(message)
        except (TimeoutError, ConnectionError):
            if visit.request.transport is not None:
                visit.request.transport.abort()
        finally:
            reader.leave()
        return response

    async def _names(self) -> dict[str, str]:
        """How people call the configured companies, by their identifiers."""
        members = await self._parts.roster.members()
        return {one.identifier: one.name for one in members.companies.values()}

    async def _searched(self, search: Callable[[], Any]) -> Any:
        found: Awaitable[Any] = anyio.to_thread.run_sync(
            search, abandon_on_cancel=True, limiter=self._searches
        )
        return await found


async def static(request: web.Request) -> web.Response:
    """Answer a file; its address changes with its content."""
    name = request.match_info["name"]
    if name not in STATIC:
        raise web.HTTPNotFound
    kept = "public, max-age=31536000, immutable" if request.query_string else "no-cache"
    return web.Response(
        body=static_file(name), headers={"Content-Type": STATIC[name], "Cache-Control": kept}
    )


async def icon(_: web.Request) -> web.Response:
    """Answer the icon where a browser looks for it by itself: beside a PDF, which can't name it."""
    name = "icon.svg"
    return web.Response(
        body=static_file(name), headers={"Content-Type": STATIC[name], "Cache-Control": "no-cache"}
    )


def _fits(row: CompanyRow, text: str) -> bool:
    return any(text in one.casefold() for one in (row.name, row.identifier, row.file))


def _paged(visit: Visit, rows: list[CompanyRow]) -> tuple[int, list[CompanyRow], bool]:
    page = visit.number("p", MAX_PAGES)
    first = page * PER_PAGE
    return page, rows[first : first + PER_PAGE], len(rows) > first + PER_PAGE


def _key(visit: Visit) -> Key:
    return Key(*(visit.argument(name, 2000) for name in ("source", "id", "revision")))


def _document(key: Key, part: str = "") -> str:
    query = {"source": key.source, "id": key.id, "revision": key.revision}
    return f"/document{part}?{urlencode(query)}"
