"""The v4 wire format of Billtobox's external API: lists, documents, accounting status, errors.

What the platform does not publish is as the connector's settings have it by default; besides
its three lists there is `documents`, of which it says nothing but that they are there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from stages.model import Kind
from stages.sandbox.checksums import checksum_headers
from stages.sandbox.corpus import Document
from stages.sandbox.invoices import Invoice
from stages.sandbox.items import item
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.pdf import to_pdf
from stages.sandbox.state_index import State
from stages.sandbox.tokens import Tokens

LISTS = {
    "purchase-invoices": Kind.PURCHASE,
    "sales-invoices": Kind.SALES,
    "bank-statements": Kind.STATEMENT,
    "documents": Kind.UNKNOWN,
}
LARGEST_PAGE = 50

#: Takes note of an acknowledgement: the document's id, its new status, the message.
Record = Callable[[str, str, str], None]


class NewStatus(Struct):
    """The body of a PUT to accounting-status."""

    status: Literal["TO_BE_FETCHED", "FORWARDED", "ERROR"]
    message: str | None = None


def routes(mailbox: Mailbox, record: Record) -> list[web.RouteDef]:
    """What is answered below the base address; `record` is told of each acknowledgement."""

    def wanted(request: web.Request) -> Document:
        document = mailbox.find(request.match_info["id"])
        if document is None or document.kind is not _kind(request):
            raise web.HTTPNotFound(text="There is no such document")
        return document

    async def listing(request: web.Request) -> web.Response:
        """A page of a list; `sort` is taken and changes nothing."""
        number = _whole_number(request, "page", 0)
        size = min(_whole_number(request, "size", LARGEST_PAGE), LARGEST_PAGE)
        status = request.query.get("accounting_status")
        if status is not None and status not in State.__members__:
            raise web.HTTPBadRequest(text=f"accounting_status can't be {status}")
        page = mailbox.page(
            _kind(request),
            None if status is None else State[status],
            request.query.get("platform_id"),
            start=number * size,
            count=size,
        )
        results = [item(document, state) for document, state in page.documents]
        return _json({"size": size, "total": page.total, "page": number, "results": results})

    async def one(request: web.Request) -> web.Response:
        document = wanted(request)
        match _rendition(document, request.headers.get("Accept", "*/*")):
            case "application/json":
                return _json(item(document, mailbox.state(document)))
            case media_type if media_type == document.media_type:
                data = document.read()
            case media_type:
                assert isinstance(document.content, Invoice)
                data = to_pdf(document.content)
        headers = checksum_headers(document, data)
        return web.Response(body=data, content_type=media_type, headers=headers)

    async def new_status(request: web.Request) -> web.Response:
        document = wanted(request)
        try:
            told = msgspec.json.decode(await request.read(), type=NewStatus)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        mailbox.settle(document, State[told.status])
        record(document.id, told.status, told.message or "")
        return web.Response(status=204)

    return [
        web.get("/{list}", listing),
        web.get("/{list}/{id}", one),
        web.put("/{list}/{id}/accounting-status", new_status),
    ]


def authorised(tokens: Tokens) -> Middleware:
    """Middleware that lets in only what bears a valid token."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not tokens.valid(request.headers.get("Authorization", "")):
            raise web.HTTPUnauthorized(
                text="A valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"}
            )
        return await handler(request)

    return check


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware that says what went wrong as the platform does."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        body = {
            "path": request.path,
            "error": error.reason,
            "message": error.text,
            "status": error.status,
        }
        response = _json(body, error.status)
        if "WWW-Authenticate" in error.headers:
            response.headers["WWW-Authenticate"] = error.headers["WWW-Authenticate"]
        return response


def _kind(request: web.Request) -> Kind:
    kind = LISTS.get(request.match_info["list"])
    if kind is None:
        raise web.HTTPNotFound(text="There is no such list")
    return kind


def _whole_number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal():
        raise web.HTTPBadRequest(text=f"{name} has to be a whole number")
    return int(text)


def _rendition(document: Document, accept: str) -> str:
    """The media type to answer with, by the Accept header (RFC 9110, 12.5.1).

    JSON is the default; a document of which nothing is known is only ever itself.
    """
    if document.kind is Kind.UNKNOWN:
        return document.media_type
    offered = ["application/json", document.media_type]
    if isinstance(document.content, Invoice):
        offered.append("application/pdf")
    for media_range in _by_preference(accept):
        kind, _, rest = media_range.partition("/")
        for media_type in offered:
            if media_range == media_type or (
                rest == "*" and kind in ("*", media_type.partition("/")[0])
            ):
                return media_type
    raise web.HTTPNotAcceptable(text=f"The document can be had as {', '.join(offered)}")


def _by_preference(accept: str) -> list[str]:
    weighted = []
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            weighted.append((float(quality), media_range))
        except ValueError:
            raise web.HTTPBadRequest(text=f"Accept: {quality} is no quality") from None
    weighted.sort(key=lambda pair: -pair[0])
    return [media_range for quality, media_range in weighted if quality > 0]


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )
