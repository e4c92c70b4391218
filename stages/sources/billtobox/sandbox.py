"""Billtobox in the sandbox: lists, documents, accounting status and errors of API v4.

What the platform does not publish is as the connector's settings have it by default. Besides its
three lists there is `documents`, whose items state an id and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from aiohttp import web
from msgspec import Struct

from stages.kind import Kind
from stages.sandbox.checksums import checksum_headers
from stages.sandbox.corpus import Document
from stages.sandbox.fault_spec import Target
from stages.sandbox.invoices import Invoice
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.pdf import to_pdf
from stages.sandbox.wire import Record, Wire
from stages.sources.billtobox.sandbox_items import STATES, item
from stages.sources.billtobox.settings import LARGEST_PAGE, Billtobox

LISTS = {
    "purchase-invoices": Kind.PURCHASE,
    "sales-invoices": Kind.SALES,
    "bank-statements": Kind.STATEMENT,
    "documents": Kind.UNKNOWN,
}


class NewStatus(Struct):
    """The body of a PUT to accounting-status."""

    status: Literal["TO_BE_FETCHED", "FORWARDED", "ERROR"]
    message: str | None = None


class BilltoboxWire(Wire):
    """The v4 wire format of Billtobox's external API."""

    kind = str(Billtobox.__struct_config__.tag)
    base_path = "/v4"

    def routes(self, mailbox: Mailbox, record: Record) -> Sequence[web.RouteDef]:
        """GET of a list and of a document, PUT of its accounting status."""

        def wanted(request: web.Request) -> Document:
            document = mailbox.find(request.match_info["id"])
            if document is None or document.kind is not _kind(request):
                raise web.HTTPNotFound(text="There is no such document")
            return document

        async def get_list(request: web.Request) -> web.Response:
            return _page(mailbox, request)

        async def get_document(request: web.Request) -> web.Response:
            return _document(mailbox, wanted(request), request.headers.get("Accept", "*/*"))

        async def put_status(request: web.Request) -> web.Response:
            document = wanted(request)
            try:
                new = msgspec.json.decode(await request.read(), type=NewStatus)
            except msgspec.DecodeError as error:
                raise web.HTTPBadRequest(text=str(error)) from None
            mailbox.set_state(document, STATES[new.status])
            record(document.id, new.status, new.message or "")
            return web.Response(status=204)

        return [
            web.get("/{list}", get_list),
            web.get("/{list}/{id}", get_document),
            web.put("/{list}/{id}/accounting-status", put_status),
        ]

    def error(self, request: web.Request, error: web.HTTPException) -> web.Response:
        """JSON with path, error, message and status."""
        body = {
            "path": request.path,
            "error": error.reason,
            "message": error.text,
            "status": error.status,
        }
        return _json(body, error.status)

    def settings(self, mailbox: Mailbox) -> Mapping[str, str]:
        """The path of the list of documents without a kind, if the mailbox holds any."""
        return {"documents_path": "documents"} if Kind.UNKNOWN in mailbox.kinds else {}

    def target(self, request: web.Request) -> Target:
        """By the method and by the depth of the path."""
        if request.method == "PUT":
            return "acknowledgement"
        return "list" if len(request.path.strip("/").split("/")) == 2 else "document"

    def document_id(self, request: web.Request) -> str:
        """The last part of the path but one."""
        return request.path.split("/")[-2]

    def previous_page(self, request: web.Request) -> web.Request:
        """The same with another `page`; the first page stays the first."""
        url = request.rel_url
        page = max(int(url.query.get("page", "0")) - 1, 0)
        return request.clone(rel_url=url.update_query(page=str(page)))

    def with_odd_item(self, page: bytes) -> bytes:
        """The item's id is a lone surrogate, which no JSON reader accepts."""
        return re.sub(rb'("results":\s*\[)(?=\s*\{)', rb'\1{"id":"\\ud800"},', page, count=1)


def _page(mailbox: Mailbox, request: web.Request) -> web.Response:
    """A page of a list; `sort` is accepted and changes nothing."""
    number = _whole_number(request, "page", 0)
    size = min(_whole_number(request, "size", LARGEST_PAGE), LARGEST_PAGE)
    status = request.query.get("accounting_status")
    if status is not None and status not in STATES:
        raise web.HTTPBadRequest(text=f"accounting_status can't be {status}")
    page = mailbox.page(
        _kind(request),
        None if status is None else STATES[status],
        request.query.get("platform_id"),
        start=number * size,
        count=size,
    )
    results = [item(document, state) for document, state in page.documents]
    return _json({"size": size, "total": page.total, "page": number, "results": results})


def _document(mailbox: Mailbox, document: Document, accept: str) -> web.Response:
    """A document in the form that the Accept header asks for, with checksums."""
    match _rendition(document, accept):
        case "application/json":
            return _json(item(document, mailbox.state(document)))
        case media_type if media_type == document.media_type:
            data = document.read()
        case media_type:
            assert isinstance(document.content, Invoice)
            data = to_pdf(document.content)
    headers = checksum_headers(document, data)
    return web.Response(body=data, content_type=media_type, headers=headers)


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

    JSON is the default; a document of unknown kind has no other form than its own.
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
