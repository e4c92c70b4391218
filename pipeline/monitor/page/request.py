"""Visit: one request of a reader, with his session and his language, and how he is answered."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from aiohttp import web

from pipeline.language.codes import LOCALES
from pipeline.monitor.page.access import Session
from pipeline.monitor.page.languages import negotiated
from pipeline.monitor.page.rendering import renderers
from pipeline.readable import Readable

SESSION_COOKIE, LANGUAGE_COOKIE, SAID_COOKIE = "synqup", "synqup_language", "synqup_said"
#: Seconds for which a choice of language is kept.
LANGUAGE_AGE = 365 * 86_400
#: Characters of a sentence that is shown on the next page, and seconds for which it waits for that.
MAX_SAID = 600
SAID_AGE = 60
#: Nothing may be loaded from elsewhere, nor stand in the page itself but text.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: With "no-referrer" a browser would send forms with the origin "null".
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
#: A PDF comes from outside: it may load nothing, send nothing, and stand in no other page. What
#: shows it in the browser is styled, and an object in a page of its own.
PDF_POLICY = (
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'none'"
)


class Visit:
    """A request, of one who may look at least; but `session` is None where he signs in."""

    def __init__(
        self,
        request: web.Request,
        session: Session | None,
        machine: str = "",
        *,
        can_act: bool = True,
    ) -> None:
        self.request = request
        self.session = session
        self._machine = machine
        #: Whether he may act.
        self.acts = can_act and session is not None and session.acts
        chosen = request.query.get("l", "") or request.cookies.get(LANGUAGE_COOKIE, "")
        accepted = request.headers.get("Accept-Language", "")
        #: The code of his language: as he chose, else as his browser wants it.
        self.language = chosen if chosen in LOCALES else negotiated(accepted)

    def argument(self, name: str, most: int) -> str:
        """An argument of the address; empty if there is none."""
        return self.request.query.get(name, "")[:most]

    def number(self, name: str, most: int) -> int:
        """An argument that is a number from 0 on; 0 if there is none."""
        text = self.argument(name, 6)
        return min(int(text), most) if text.isascii() and text.isdigit() else 0

    def page(self, template: str, status: int = 200, **values: Any) -> web.Response:
        """Answer a page."""
        said, is_bad = _said(self.request.cookies.get(SAID_COOKIE, ""))
        text = renderers()[self.language].page(
            template,
            session=self.session,
            acts=self.acts,
            here=self._here(),
            switch=self._switched,
            machine=self._machine,
            said=said,
            said_is_bad=is_bad,
            **values,
        )
        response = web.Response(
            text=text, status=status, content_type="text/html", charset="utf-8", headers=HEADERS
        )
        response.headers["Vary"] = "Accept-Language, Cookie"
        response.headers["Content-Language"] = self.language
        if said:
            response.del_cookie(SAID_COOKIE)
        if self.request.query.get("l", "") in LOCALES:
            self._set(response, LANGUAGE_COOKIE, self.language, LANGUAGE_AGE)
        return response

    def go(self, place: str, said: str = "", *, is_bad: bool = False) -> web.Response:
        """Send him to another page, where he is told a sentence."""
        response = web.Response(status=303, headers={"Location": own_place(place)})
        if said:
            text = f"{int(is_bad)}{said[:MAX_SAID]}"
            held = base64.urlsafe_b64encode(text.encode("utf-8", "replace")).decode()
            self._set(response, SAID_COOKIE, held, SAID_AGE)
        return response

    def sign_in(self, response: web.Response, cookie: str, age: int) -> web.Response:
        """Give him a session; an empty one takes it away."""
        if cookie:
            self._set(response, SESSION_COOKIE, cookie, age)
        else:
            response.del_cookie(SESSION_COOKIE)
        return response

    def _set(self, response: web.Response, name: str, value: str, age: int) -> None:
        # Behind a proxy with TLS, the browser is to send it by TLS alone.
        is_secure = self.request.headers.get("X-Forwarded-Proto", "").lower() == "https"
        response.set_cookie(
            name, value, max_age=age, httponly=True, samesite="Strict", secure=is_secure, path="/"
        )

    def _here(self) -> str:
        return self.request.path_qs if self.request.method == "GET" else "/"

    def _switched(self, code: str) -> str:
        """The address of this page in another language."""
        parts = urlsplit(self._here())
        query = [(name, value) for name, value in parse_qsl(parts.query) if name != "l"]
        return f"{parts.path}?{urlencode([*query, ('l', code)])}"


def pdf_response(found: Readable) -> web.Response:
    """Answer a PDF that is shown in the browser, and that nobody on the way keeps."""
    plain = found.name.encode("ascii", "replace").decode().replace("?", "_")
    named = f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(found.name, safe='')}"
    headers = {
        "Content-Security-Policy": PDF_POLICY,
        "Content-Disposition": named,
        "Content-Type": "application/pdf",
        "Cache-Control": "private, no-store",
    }
    return web.Response(body=found.pdf, headers=headers)


async def form_of(request: web.Request) -> Mapping[str, str]:
    """The fields of a form as the page sends them. Raises HTTPException for anything else."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    try:
        fields = await request.post()
    except (ValueError, LookupError):
        # It names an encoding that does not exist, or is not in the one that it names.
        raise web.HTTPBadRequest from None
    return {name: one for name, one in fields.items() if isinstance(one, str)}


def own_place(place: str) -> str:
    """A path of this server, as it was given; "/" if it leads elsewhere."""
    is_path = place.startswith("/") and not place.startswith(("//", "/\\"))
    return place if is_path and place.isprintable() else "/"


def _said(cookie: str) -> tuple[str, bool]:
    try:
        text = base64.urlsafe_b64decode(cookie[: 6 * MAX_SAID]).decode()
    except ValueError:
        return "", False
    return text[1:], text[:1] == "1"
