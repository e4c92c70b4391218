"""Peppyrus in the sandbox: an organisation for each company, whose lists hold whole documents.

The newest message is the first. Messages leave the list when they are confirmed, also while its
pages are walked.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from stages.sandbox.companies import Company
from stages.sandbox.corpus import Document
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.platform import Sandbox, SecretText, Value
from stages.sandbox.tokens import Tokens
from stages.sandbox.wire import Record
from stages.sources.http.inbox import sandbox as peppol
from stages.sources.http.inbox.sandbox import InboxWire, answer
from stages.sources.peppyrus.settings import LARGEST_PAGE, Peppyrus

#: Where the middleware leaves the organisation of a request.
COMPANY = web.RequestKey("company", Company)
#: A participant that is none of the mailbox's companies.
FOREIGN = "0208:0898765475"
#: The reason phrase of a second confirmation.
ALREADY = "Already confirmed"


class PeppyrusOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be chosen.

    again: the status of a second confirmation. order: of the list. meta: whether a page says how
    many there are. pdf: how a PDF comes. empty: whether a list without messages has no body at all.
    foreign: whether the first organisation has a participant of another company, with a message.
    revoked: the number of a company whose key is not taken any more.
    """

    again: Literal[200, 400, 404, 409, 422] = 404
    order: Literal["newest", "oldest"] = "newest"
    meta: bool = True
    pdf: Literal["text", "object", "bytes"] = "text"
    empty: bool = False
    foreign: bool = False
    revoked: str = ""


class PeppyrusWire(InboxWire):
    """The wire format of Peppyrus's API v1."""

    kind = str(Peppyrus.__struct_config__.tag)
    base_path = "/v1"
    lists = ("list",)
    confirmations = ("confirm",)
    options: PeppyrusOptions = PeppyrusOptions()

    def routes(self, mailbox: Mailbox, record: Record) -> Sequence[web.RouteDef]:
        """The organisation, its messages, and their confirmations."""
        messages = _Messages(mailbox, record, self.options)
        return [
            web.get("/organization/info", messages.info),
            web.get("/organization/peppol", messages.participants),
            web.get("/message/list", messages.list),
            web.get("/message/{id}", messages.message),
            web.get("/message/{id}/render", messages.render),
            web.patch("/message/{id}/confirm", messages.confirm),
        ]

    def authentication(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:  # noqa: ARG002 - keys are no tokens
        """A key, which is of one organisation."""
        owners = {key(mailbox, company): company for company in mailbox.companies}

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            owner = owners.get(request.headers.get("X-Api-Key", ""))
            if owner is None or owner.identifier == self.options.revoked:
                raise web.HTTPUnauthorized(text="Invalid API key")
            request[COMPANY] = owner
            return await handler(request)

        return check

    def error(self, request: web.Request, error: web.HTTPException) -> web.Response:  # noqa: ARG002 - as all
        """A message; what else is known stands in the reason phrase."""
        failed: web.Response = answer({"message": error.text or error.reason}, error.status)
        failed.set_status(error.status, error.reason)
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
        """The address, and a key for each company."""
        keys: list[Mapping[str, Value]] = [
            {
                "name": company.name,
                "identifier": company.identifier,
                "secret": SecretText(key(mailbox, company)),
            }
            for company in mailbox.companies
        ]
        return {"url": served.url, "pdf": self.options.pdf, "keys": keys}

    def is_document(self, request: web.Request) -> bool:
        """What is asked of one message."""
        return "/message/" in request.path

    def previous_page(self, request: web.Request) -> web.Request:
        """The same with another `page`; the first page stays the first."""
        url = request.rel_url
        page = max(int(url.query.get("page", "1")) - 1, 1)
        return request.clone(rel_url=url.update_query(page=str(page)))


class _Messages:
    """What organisations have received."""

    def __init__(self, mailbox: Mailbox, record: Record, options: PeppyrusOptions) -> None:
        self._mailbox = mailbox
        self._record = record
        self._options = options

    async def info(self, request: web.Request) -> web.Response:
        """The organisation."""
        company = request[COMPANY]
        said: web.Response = answer({"name": company.name, "VAT": company.identifier})
        return said

    async def participants(self, request: web.Request) -> web.Response:
        """Its participants."""
        company = request[COMPANY]
        ids = [f"0208:{company.number}"]
        if self._is_foreign(company):
            ids.append(FOREIGN)
        said: web.Response = answer([{"participantId": one} for one in ids])
        return said

    async def list(self, request: web.Request) -> web.Response:
        """A page of what is not confirmed, with the documents in it."""
        page, size = _number(request, "page", 1), _number(request, "perPage", 25)
        if size > LARGEST_PAGE:
            raise web.HTTPUnprocessableEntity(text=f"perPage may not be above {LARGEST_PAGE}")
        company = request[COMPANY]
        is_asked = request.query.get("folder", "INBOX") == "INBOX"
        is_asked = is_asked and request.query.get("confirmed", "false") == "false"
        documents = peppol.waiting(self._mailbox, [company]) if is_asked else []
        if self._options.order == "newest":
            documents.reverse()
        items = [self._item(one) for one in documents[(page - 1) * size : page * size]]
        count = len(documents)
        if self._is_foreign(company):
            count += 1
            if page == 1 and documents:
                items.append(self._item(documents[0]) | {"id": "foreign", "recipient": FOREIGN})
        if not items and self._options.empty:
            return web.Response(content_type="application/json")
        meta = {"pages": -(-count // size), "currentPage": page, "itemCount": count}
        said: web.Response = answer(
            {"items": items} | ({"meta": meta} if self._options.meta else {})
        )
        return said

    async def message(self, request: web.Request) -> web.Response:
        """A message."""
        said: web.Response = answer(self._item(self._found(request)))
        return said

    async def render(self, request: web.Request) -> web.Response:
        """A PDF of an invoice."""
        if request.query.get("format") != "pdf":
            raise web.HTTPUnprocessableEntity(text="format has to be pdf")
        body = peppol.pdf(self._found(request))
        if self._options.pdf == "bytes":
            return web.Response(body=body, content_type="application/pdf")
        text = b64encode(body).decode()
        said: web.Response = answer(text if self._options.pdf == "text" else {"fileContent": text})
        return said

    async def confirm(self, request: web.Request) -> web.Response:
        """Take a message off the list."""
        document = self._found(request)
        if peppol.is_confirmed(self._mailbox, document) and self._options.again != 200:
            refusal = web.HTTPNotFound(text="")
            refusal.set_status(self._options.again, ALREADY)
            raise refusal
        peppol.confirm(self._mailbox, document, self._record)
        said: web.Response = answer(True)
        return said

    def _item(self, document: Document) -> dict[str, Any]:
        return {
            "id": document.id,
            "direction": "IN",
            "folder": "INBOX",
            "sender": f"0208:{peppol.sender(document).number}",
            "recipient": f"0208:{document.company.number}",
            "processType": "cenbii-procid-ubl::urn:fdc:peppol.eu:2017:poacc:billing:01:1.0",
            "documentType": f"busdox-docid-qns::{peppol.document_type(document)}",
            "fileContent": b64encode(peppol.content(document)).decode(),
            "created": peppol.arrived(document).isoformat(" "),
            "confirmed": peppol.is_confirmed(self._mailbox, document),
        }

    def _found(self, request: web.Request) -> Document:
        return peppol.found(self._mailbox, request.match_info["id"], request[COMPANY])

    def _is_foreign(self, company: Company) -> bool:
        return self._options.foreign and company == self._mailbox.companies[0]


def key(mailbox: Mailbox, company: Company) -> str:
    """The key of a company."""
    return peppol.secret(mailbox, f"key of {company.identifier}")


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise web.HTTPUnprocessableEntity(text=f"{name} has to be a number from 1 on")
    return int(text)
