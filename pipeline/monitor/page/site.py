"""Site: the addresses of the page, who is let in to each, and what runs behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
from aiohttp import web

from pipeline.language.texts import mark as _, said
from pipeline.monitor.page.access import Access, Verifier
from pipeline.monitor.page.acting import Acting
from pipeline.monitor.page.live import Live, Variant
from pipeline.monitor.page.model import Overview
from pipeline.monitor.page.overview import Overviewer
from pipeline.monitor.page.parts import Parts
from pipeline.monitor.page.rendering import renderers
from pipeline.monitor.page.request import SESSION_COOKIE, Visit, form_of
from pipeline.monitor.page.views import Views, icon, static

#: Seconds that a wrong token costs.
WRONG_TOKEN = 0.5

Answer = Callable[[Visit], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """The page of one server. For the event loop alone; run() keeps it up to date."""

    def __init__(
        self,
        parts: Parts,
        reader: Verifier | None,
        operator: Verifier | None,
        keep: Callable[[web.Request], object],
    ) -> None:
        """reader, operator: the tokens, where there are any. keep: as in Views."""
        self.access = Access(reader, operator)
        self._parts = parts
        self._overviewer = Overviewer(parts)
        self._live: Live[Overview] = Live(self._overviewer.make, _sections)
        self._views = Views(parts, self._live, keep)
        self._is_prepared = False
        self._acting = Acting(parts.actions, self._live, self._outdate)

    async def run(self) -> None:
        """Keep the page up to date while somebody reads it, until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._overviewer.run)
            group.start_soon(self._live.run)

    def _outdate(self) -> None:
        """Have the page that follows an action show what has come of it."""
        self._overviewer.outdate()
        self._live.outdate()

    def routes(self) -> list[tuple[str, str, Handler]]:
        """What is answered to each method and path."""
        views = self._views
        looked_at = {
            "/": views.overview,
            "/companies": views.companies,
            "/waiting": views.waiting,
            "/find": views.find,
            "/document": views.document,
            "/document/readable": views.readable,
        }
        return [
            *(("GET", path, self._for_readers(view)) for path, view in looked_at.items()),
            ("GET", "/live", self._for_readers(views.live, sends_away=False)),
            ("GET", "/static/{name}", static),
            ("GET", "/favicon.ico", icon),
            ("GET", "/sign-in", self._sign_in_page),
            ("GET", "/open", self._open),
            ("POST", "/sign-in", self._sign_in),
            ("POST", "/sign-out", self._sign_out),
            ("POST", "/act", self._for_all(self._acting.act)),
        ]

    def _for_readers(self, answer: Answer, *, sends_away: bool = True) -> Handler:
        """Answer those who may look; send others to sign in."""

        async def handle(request: web.Request) -> web.StreamResponse:
            visit = await self._visit(request)
            if visit.session is not None:
                return await answer(visit)
            return visit.go("/sign-in") if sends_away else web.Response(status=401)

        return handle

    def _for_all(self, answer: Answer) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if (refusal := _foreign(request)) is not None:
                return refusal
            return await answer(await self._visit(request))

        return handle

    async def _visit(self, request: web.Request) -> Visit:
        if not self._is_prepared:
            # Not before somebody comes, and in a thread: it takes longer than a poll does.
            await anyio.to_thread.run_sync(renderers)
            self._is_prepared = True
        session = await self.access.session(request.cookies.get(SESSION_COOKIE, ""))
        parts = self._parts
        return Visit(request, session, parts.machine, can_act=parts.actions is not None)

    async def _sign_in_page(self, request: web.Request) -> web.StreamResponse:
        visit = await self._visit(request)
        return visit.page("sign-in.html", access=self.access)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        if (refusal := _foreign(request)) is not None:
            return refusal
        visit, form = await self._visit(request), await form_of(request)
        found = await self.access.sign_in(form.get("token", ""), form.get("name", ""))
        if found is not None:
            return visit.sign_in(visit.go("/"), *found)
        await anyio.sleep(WRONG_TOKEN)
        language = renderers()[visit.language].language
        words = language.say(said(_("This is not a token of this service")))
        return visit.go("/sign-in", f"{words}.", is_bad=True)

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        if (refusal := _foreign(request)) is not None:
            return refusal
        visit = await self._visit(request)
        return visit.sign_in(visit.go("/sign-in"), "", 0)

    async def _open(self, request: web.Request) -> web.StreamResponse:
        """Sign in by a link that is good once."""
        visit = await self._visit(request)
        found = await self.access.redeem(request.query.get("code", ""))
        if found is not None:
            return visit.sign_in(visit.go("/"), *found)
        await anyio.sleep(WRONG_TOKEN)
        language = renderers()[visit.language].language
        words = language.say(said(_("This link was used or is too old: ask for another one")))
        return visit.go("/sign-in", f"{words}: synqup open.", is_bad=True)


def _foreign(request: web.Request) -> web.Response | None:
    """A refusal, where no page of this server has sent a form: the guard compares the origin."""
    if request.headers.get("Origin"):
        return None
    return web.Response(status=403, text="A form has to name its origin.\n")


def _sections(it: Overview, variant: Variant) -> dict[str, str]:
    language, acts = variant
    return renderers()[language].sections(it, acts=acts)
