"""Recommand in the sandbox: the inbox of a team, with all that is unread in one answer.

The newest document is the first. Answers to sales have the type "unknown". What a team's key may
not see does not exist for it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Meta, Struct

from stages.sandbox.corpus import Document
from stages.sandbox.invoices import Invoice
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.platform import Sandbox, SecretText, Value
from stages.sandbox.state_index import State
from stages.sandbox.tokens import Tokens
from stages.sandbox.wire import Record
from stages.sources.http.inbox import sandbox as peppol
from stages.sources.http.inbox.sandbox import InboxWire, answer
from stages.sources.recommand.settings import Recommand

#: A company that is none of the mailbox's, and what the ids of its, and of empty, documents are.
FOREIGN = "c_foreign"
EMPTY = "doc_empty"


class RecommandOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be chosen.

    empty: so many further items by turns of the types messageLevelResponse and unknown, without
    XML. foreign: whether the inbox holds a document of a company that nobody has configured.
    revoked: the id of a company that has left the team. without_xml: the place in the mailbox of an
    invoice whose XML is null.
    """

    empty: Annotated[int, Meta(ge=0)] = 0
    foreign: bool = False
    revoked: str = ""
    without_xml: int = -1


class RecommandWire(InboxWire):
    """The wire format of Recommand's API v1."""

    kind = str(Recommand.__struct_config__.tag)
    base_path = "/api/v1"
    lists = ("inbox",)
    confirmations = ("mark-as-read",)
    options: RecommandOptions = RecommandOptions()

    def routes(self, mailbox: Mailbox, record: Record) -> Sequence[web.RouteDef]:
        """The companies, the inbox, and documents."""
        team = _Team(mailbox, record, self.options)
        return [
            web.get("/companies", team.companies),
            web.get("/inbox", team.inbox),
            web.get("/documents/{id}", team.document),
            web.get("/documents/{id}/render/pdf", team.pdf),
            web.post("/documents/{id}/mark-as-read", team.mark),
        ]

    def authentication(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:  # noqa: ARG002 - keys are no tokens
        """The two parts of a key (Basic), or a token."""
        basic = b64encode(":".join(key(mailbox)).encode()).decode()

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            given = request.headers.get("Authorization", "")
            if given not in (f"Basic {basic}", f"Bearer {peppol.secret(mailbox, 'token')}"):
                raise web.HTTPUnauthorized(text="Unauthorized")
            return await handler(request)

        return check

    def error(self, request: web.Request, error: web.HTTPException) -> web.Response:  # noqa: ARG002 - as all
        """Errors by the fields that they are about."""
        said = {"success": False, "errors": {"root": [error.text or error.reason]}}
        failed: web.Response = answer(said, error.status)
        return failed

    def section(
        self,
        served: Sandbox,
        mailbox: Mailbox,
        *,
        by_person: bool = False,  # noqa: ARG002 - as all
    ) -> Mapping[str, Value]:
        """The address, and the key of the team."""
        first, second = key(mailbox)
        return {
            "url": served.url,
            "api_key": SecretText(first),
            "api_secret": SecretText(second),
        }


class _Team:
    """A mailbox as a team."""

    def __init__(self, mailbox: Mailbox, record: Record, options: RecommandOptions) -> None:
        self._mailbox = mailbox
        self._record = record
        self._options = options
        self._unread = {f"{EMPTY}_{number}": number for number in range(options.empty)}

    async def companies(self, _: web.Request) -> web.Response:
        """Those of the mailbox, but for the one that has left."""
        companies = [
            _company(one.platform_id, one.name, one.number)
            for one in self._mailbox.companies
            if one.platform_id != self._options.revoked
        ]
        if self._options.foreign:
            companies.append(_company(FOREIGN, "Foreign", "0898765475"))
        return self._said(companies=companies)

    async def inbox(self, _: web.Request) -> web.Response:
        """All that is unread, the newest first."""
        items = [
            _item(one)
            for one in reversed(peppol.waiting(self._mailbox))
            if one.company.platform_id != self._options.revoked
        ]
        items += [self._empty(id_, number) for id_, number in self._unread.items()]
        if self._options.foreign:
            foreign = {"companyId": FOREIGN, "receiverId": "0208:0898765475"}
            items.append(self._empty("doc_foreign", 0) | foreign | {"type": "invoice"})
        return self._said(documents=items)

    async def document(self, request: web.Request) -> web.Response:
        """A document, with its XML as text."""
        id_ = request.match_info["id"]
        if id_.startswith(EMPTY):
            return self._said(document=self._empty(id_, 0) | {"parsed": None, "xml": None})
        document = self._found(request)
        # What Peppol carries is UTF-8; other bytes would not have been received.
        xml = peppol.content(document).decode("utf-8", "replace")
        said = _item(document) | {"parsed": _parsed(document), "xml": xml}
        if document.index == self._options.without_xml:
            said["xml"] = None
        return self._said(document=said)

    async def pdf(self, request: web.Request) -> web.Response:
        """A PDF of an invoice."""
        body = peppol.pdf(self._found(request))
        return web.Response(body=body, content_type="application/pdf")

    async def mark(self, request: web.Request) -> web.Response:
        """Mark a document as read, or as unread."""
        try:
            said = msgspec.json.decode(await request.read() or b"{}", type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        id_ = request.match_info["id"]
        if id_.startswith(EMPTY):
            self._unread.pop(id_, None)
            self._record(id_, peppol.CONFIRMED, "")
            return self._said()
        document = self._found(request)
        if said.get("read", True):
            peppol.confirm(self._mailbox, document, self._record)
        else:
            self._mailbox.set_state(document, State.PENDING)
        return self._said()

    def _found(self, request: web.Request) -> Document:
        document = peppol.found(self._mailbox, request.match_info["id"])
        if document.company.platform_id == self._options.revoked:
            raise web.HTTPNotFound(text="Document not found")
        return document

    def _empty(self, id_: str, number: int) -> dict[str, Any]:
        company = self._mailbox.companies[number % len(self._mailbox.companies)]
        return {
            "id": id_,
            "companyId": company.platform_id,
            "direction": "incoming",
            "senderId": "0208:0712345630",
            "receiverId": f"0208:{company.number}",
            "docTypeId": "urn:x::Unknown##1",
            "type": "unknown" if number % 2 else "messageLevelResponse",
            "readAt": None,
        }

    def _said(self, **members: object) -> web.Response:
        said: web.Response = answer({"success": True, **members})
        return said


def key(mailbox: Mailbox) -> tuple[str, str]:
    """The two parts of the key of the team."""
    return peppol.secret(mailbox, "key"), peppol.secret(mailbox, "secret")


def _item(document: Document) -> dict[str, Any]:
    type_ = "unknown"
    if isinstance(document.content, Invoice) and not peppol.is_answer(document):
        type_ = "creditNote" if document.content.credit else "invoice"
    at = f"{peppol.arrived(document).isoformat()}.000Z"
    return {
        "id": document.id,
        "teamId": "team_1",
        "companyId": document.company.platform_id,
        "direction": "incoming",
        "senderId": f"0208:{peppol.sender(document).number}",
        "receiverId": f"0208:{document.company.number}",
        "docTypeId": peppol.document_type(document),
        "processId": "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0",
        "countryC1": "BE",
        "type": type_,
        "readAt": None,
        "createdAt": at,
        "updatedAt": at,
        "validation": {"result": "valid", "errors": []},
        "sentOverPeppol": False,
        "sentOverEmail": False,
        "emailRecipients": [],
        "labels": [],
    }


def _parsed(document: Document) -> Mapping[str, Any] | None:
    """The document once more, with an attachment before its XML."""
    if not isinstance(document.content, Invoice):
        return None
    attachment = b64encode(b"%PDF-1.7\n" * 5_000).decode()
    return {"invoiceNumber": document.number, "attachments": [{"embeddedDocument": attachment}]}


def _company(id_: str, name: str, number: str) -> Mapping[str, Any]:
    return {
        "id": id_,
        "teamId": "team_1",
        "name": name,
        "enterpriseNumberScheme": "0208",
        "enterpriseNumber": number,
        "vatNumber": f"BE{number}",
        "isSmpRecipient": True,
        "isVerified": True,
    }
