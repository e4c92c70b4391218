"""Scrada in the sandbox: the list of a company, its documents as they are, and Scrada's PDFs.

A key is of one company, and sees nothing of the others.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Meta, Struct

from stages.sandbox.companies import Company
from stages.sandbox.corpus import Document
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.platform import Sandbox, SecretText, Value
from stages.sandbox.tokens import Tokens
from stages.sandbox.wire import Record
from stages.sources.http.inbox import sandbox as peppol
from stages.sources.http.inbox.sandbox import InboxWire, answer
from stages.sources.scrada.settings import Scrada

#: Where the middleware leaves the company of a request.
COMPANY = web.RequestKey("company", Company)
#: Below the base address.
DOCUMENTS = "/company/{company}/peppol/inbound/document"


class ScradaOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be chosen.

    in_10s, in_1m: requests that a company may make, 0 for any number (Scrada: 10 and 60). again:
    the status of a second confirmation. shape: of the list. most: documents in it, 0 for all.
    revoked: the id of a company whose key is not taken any more; closed: of one whose key may not
    read its documents.
    """

    in_10s: Annotated[int, Meta(ge=0)] = 0
    in_1m: Annotated[int, Meta(ge=0)] = 0
    again: Literal[200, 400, 404, 409, 422] = 200
    shape: Literal["results", "array"] = "results"
    most: Annotated[int, Meta(ge=0)] = 0
    revoked: str = ""
    closed: str = ""


class ScradaWire(InboxWire):
    """The wire format of Scrada's API v1."""

    kind = str(Scrada.__struct_config__.tag)
    base_path = "/v1"
    lists = ("unconfirmed",)
    confirmations = ("confirm",)
    options: ScradaOptions = ScradaOptions()

    def routes(self, mailbox: Mailbox, record: Record) -> Sequence[web.RouteDef]:
        """The list, documents, and confirmations."""
        inbound = _Inbound(mailbox, record, self.options)
        return [
            web.get(f"{DOCUMENTS}/unconfirmed", inbound.list),
            web.get(f"{DOCUMENTS}/{{id}}", inbound.document),
            web.get(f"{DOCUMENTS}/{{id}}/pdf", inbound.pdf),
            web.put(f"{DOCUMENTS}/{{id}}/confirm", inbound.confirm),
        ]

    def authentication(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:  # noqa: ARG002 - keys are no tokens
        """A key and its password; then the limits of its company."""
        owners = {key(mailbox, one): one for one in mailbox.companies}
        counts = _Counts(self.options)

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            given = (request.headers.get("X-API-KEY", ""), request.headers.get("X-PASSWORD", ""))
            company = owners.get(given)
            if company is None or company.platform_id == self.options.revoked:
                raise web.HTTPUnauthorized(text="Invalid API key or password")
            counts.take(company.platform_id)
            asked = request.path.split("/")[3]
            if asked != company.platform_id or asked == self.options.closed:
                raise web.HTTPForbidden(text="No access to this company")
            request[COMPANY] = company
            return await handler(request)

        return check

    def error(self, request: web.Request, error: web.HTTPException) -> web.Response:  # noqa: ARG002 - as all
        """A number and a text, with more of them inside."""
        inner = {"errorCode": 2, "defaultFormat": error.text or error.reason, "innerErrors": []}
        body = {"errorCode": 1, "defaultFormat": "", "innerErrors": [inner]}
        kept = {k: v for k, v in error.headers.items() if k.lower().startswith("x-")}
        failed: web.Response = answer(body, error.status, kept)
        return failed

    def membership(self, company: Company) -> str | None:  # noqa: ARG002 - as all
        """None: the key tells the company."""
        return None

    def section(
        self,
        served: Sandbox,
        mailbox: Mailbox,
        *,
        by_person: bool = False,  # noqa: ARG002 - as all
    ) -> Mapping[str, Value]:
        """The address, a key for each company, and the limits that are chosen."""
        keys: list[Mapping[str, Value]] = []
        for company in mailbox.companies:
            first, second = key(mailbox, company)
            keys.append(
                {
                    "name": company.name,
                    "identifier": company.identifier,
                    "company_id": company.platform_id,
                    "secret": SecretText(first),
                    "password": SecretText(second),
                }
            )
        return {
            "url": served.url,
            "requests_in_10s": self.options.in_10s,
            "requests_in_1m": self.options.in_1m,
            "keys": keys,
        }


class _Inbound:
    """What companies have received."""

    def __init__(self, mailbox: Mailbox, record: Record, options: ScradaOptions) -> None:
        self._mailbox = mailbox
        self._record = record
        self._options = options

    async def list(self, request: web.Request) -> web.Response:
        """What is not confirmed."""
        items = [_item(one) for one in peppol.waiting(self._mailbox, [request[COMPANY]])]
        items = items[: self._options.most or None]
        said: web.Response = answer(
            {"results": items} if self._options.shape == "results" else items
        )
        return said

    async def document(self, request: web.Request) -> web.Response:
        """The document itself."""
        document = self._found(request)
        return web.Response(
            body=peppol.content(document),
            content_type="application/xml",
            headers={"X-Scrada-Document-Id": document.id},
        )

    async def pdf(self, request: web.Request) -> web.Response:
        """A PDF of Scrada's, as it was recorded."""
        return _Untyped(
            body=peppol.pdf(self._found(request)),
            headers={"Content-Disposition": 'attachment; filename="invoice.pdf"'},
        )

    async def confirm(self, request: web.Request) -> web.Response:
        """Take a document off the list."""
        document = self._found(request)
        if peppol.is_confirmed(self._mailbox, document) and self._options.again != 200:
            refusal = web.HTTPBadRequest(text="Document has already been confirmed")
            refusal.set_status(self._options.again)
            raise refusal
        peppol.confirm(self._mailbox, document, self._record)
        return web.Response()

    def _found(self, request: web.Request) -> Document:
        return peppol.found(self._mailbox, request.match_info["id"], request[COMPANY])


class _Untyped(web.Response):
    """An answer without Content-Type."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall("Content-Type", None)


class _Counts:
    """Counts the requests of each company, and refuses those that are too many."""

    def __init__(self, options: ScradaOptions) -> None:
        self._limits = [
            (most, seconds, defaultdict[str, deque[float]](deque))
            for most, seconds in ((options.in_10s, 10.0), (options.in_1m, 60.0))
            if most
        ]

    def take(self, company: str) -> None:
        """Count a request, unless it is refused."""
        now = time.time()
        for most, seconds, counts in self._limits:
            sent = counts[company]
            while sent and sent[0] <= now - seconds:
                sent.popleft()
            if len(sent) >= most:
                raise web.HTTPTooManyRequests(
                    text="API calls quota exceeded",
                    headers={"X-RateLimit-Reset": str(int(sent[0] + seconds) + 1)},
                )
        for _, _, counts in self._limits:
            counts[company].append(now)


def key(mailbox: Mailbox, company: Company) -> tuple[str, str]:
    """The key and the password of a company."""
    return (
        peppol.secret(mailbox, f"key of {company.identifier}"),
        peppol.secret(mailbox, f"password of {company.identifier}"),
    )


def _item(document: Document) -> Mapping[str, Any]:
    at = f"{peppol.arrived(document).isoformat()}Z"
    return {
        "id": document.id,
        "internalNumber": document.index + 1,
        "peppolSenderScheme": "iso6523-actorid-upis",
        "peppolSenderID": f"0208:{peppol.sender(document).number}",
        "peppolReceiverScheme": "iso6523-actorid-upis",
        "peppolReceiverID": f"0208:{document.company.number}",
        "peppolC1CountryCode": "BE",
        "peppolC2Timestamp": at,
        "peppolC2SeatID": "PBE000001",
        "peppolC3Timestamp": at,
        "peppolProcessScheme": "cenbii-procid-ubl",
        "peppolProcessValue": "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0",
        "peppolDocumentTypeScheme": "busdox-docid-qns",
        "peppolDocumentTypeValue": peppol.document_type(document),
    }
