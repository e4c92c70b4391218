"""Sandbox of an inbox: what comes by Peppol to the companies of a mailbox, answers among it.

A company receives its purchases, and for each of its sales what the customer answers. Statements do
not come that way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from random import Random
from typing import Any

import msgspec
from aiohttp import web

from stages.kind import Kind
from stages.sandbox.answers import TRANSACTION, Answer, draw_answer, to_application_response
from stages.sandbox.companies import Company
from stages.sandbox.corpus import Document
from stages.sandbox.fault_spec import Target
from stages.sandbox.invoices import Invoice
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.pdf import to_pdf
from stages.sandbox.state_index import State
from stages.sandbox.ubl import CUSTOMIZATION, UBL
from stages.sandbox.wire import Record, Wire

#: The kinds that come by Peppol.
KINDS = (Kind.PURCHASE, Kind.SALES, Kind.UNKNOWN)
#: The word of the journal for what has been confirmed.
CONFIRMED = "CONFIRMED"
#: When the first document arrived; each came some seconds after the one before.
FIRST_DAY = datetime(2026, 3, 2, 9, 30, 32)  # noqa: DTZ001 - platforms state no zone


class InboxWire(Wire):
    """What the wire formats of such platforms have in common.

    lists, confirmations: the last parts of their paths.
    """

    lists: Sequence[str]
    confirmations: Sequence[str]

    def holds(self, document: Document) -> bool:
        """Sales are answered, and statements don't come at all."""
        return document.kind not in (Kind.SALES, Kind.STATEMENT)

    def target(self, request: web.Request) -> Target:
        """By the end of the path."""
        last = request.path.rpartition("/")[2]
        if request.method != "GET":
            return "acknowledgement" if last in self.confirmations else "any"
        if last in self.lists:
            return "list"
        return "document" if self.is_document(request) else "any"

    def is_document(self, request: web.Request) -> bool:
        """Whether a request that is for no list is for a document."""
        return "/document" in request.path

    def document_id(self, request: web.Request) -> str:
        """The last part of the path but one."""
        return request.path.split("/")[-2]

    def previous_page(self, request: web.Request) -> web.Request:
        """The same: there are no pages."""
        return request

    def with_odd_item(self, page: bytes) -> bytes:
        """The item's id is a lone surrogate, which no JSON reader accepts."""
        return re.sub(rb"(:\s*\[)(?=\s*\{)", rb'\1{"id":"\\ud800"},', page, count=1)


def waiting(mailbox: Mailbox, companies: Sequence[Company] | None = None) -> list[Document]:
    """What is not confirmed, the oldest first. companies: only of these."""
    ids = None if companies is None else [one.platform_id for one in companies]
    return mailbox.oldest(State.PENDING, platform_ids=ids, kinds=KINDS)


def found(mailbox: Mailbox, id_: str, company: Company | None = None) -> Document:
    """The document of an id; 404 if there is none, or it is of another company."""
    document = mailbox.find(id_)
    is_of = company is None or (document is not None and document.company == company)
    if document is None or document.kind not in KINDS or not is_of:
        raise web.HTTPNotFound(text="Document not found")
    return document


def confirm(mailbox: Mailbox, document: Document, record: Record) -> None:
    """Take a document off the list."""
    mailbox.set_state(document, State.ACKED)
    record(document.id, CONFIRMED, "")


def is_confirmed(mailbox: Mailbox, document: Document) -> bool:
    """Whether a document has left the list."""
    return mailbox.state(document) is not State.PENDING


def is_answer(document: Document) -> bool:
    """Whether the inbox holds an answer in place of a document."""
    return document.kind is Kind.SALES


def content(document: Document) -> bytes:
    """What came by Peppol."""
    made = document.content
    if is_answer(document) and isinstance(made, Invoice):
        rng = Random(f"answer to {document.id}")  # noqa: S311 - made up
        return to_application_response(draw_answer(rng, f"IR-{document.index}", made))
    return document.read()


def pdf(document: Document) -> bytes:
    """A PDF of it; 404 if it is no invoice."""
    made = document.content
    if is_answer(document) or not isinstance(made, Invoice):
        raise web.HTTPNotFound(text="There is no PDF of it")
    return to_pdf(made)


def sender(document: Document) -> Company:
    """Who has sent what is in the inbox."""
    match document.content:
        case Invoice() as invoice:
            return invoice.customer if is_answer(document) else invoice.supplier
        case Answer() as answer:
            return answer.invoice.customer
        case _:
            return document.company


def document_type(document: Document) -> str:
    """The document type of Peppol, without its scheme."""
    if is_answer(document):
        return f"{UBL}ApplicationResponse-2::ApplicationResponse##{TRANSACTION}::2.1"
    credit = isinstance(document.content, Invoice) and document.content.credit
    root = "CreditNote" if credit else "Invoice"
    return f"{UBL}{root}-2::{root}##{CUSTOMIZATION}billing:3.0::2.1"


def arrived(document: Document) -> datetime:
    """When it came."""
    return FIRST_DAY + timedelta(seconds=17 * document.index)


def secret(mailbox: Mailbox, what: str) -> str:
    """A key of a sandbox: the same for the same seed."""
    return blake2b(f"{what} {mailbox.seed}".encode(), digest_size=20).hexdigest()


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Any:
    """An answer in JSON."""
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )
