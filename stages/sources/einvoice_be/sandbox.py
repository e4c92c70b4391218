"""e-invoice.be in the sandbox: its lists, its documents behind signed addresses, one key each.

Where the real behaviour is not known it is the stricter choice: an address is good for a minute and
refuses credentials, and a document that has just come has none for a while.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct
from yarl import URL

from stages.sandbox.companies import Company
from stages.sandbox.corpus import Document
from stages.sandbox.fault_spec import Target
from stages.sandbox.invoices import Invoice
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.pdf import to_pdf
from stages.sandbox.platform import Sandbox, SecretText, Value
from stages.sandbox.pushing import Push, push_secret
from stages.sandbox.tokens import Tokens
from stages.sandbox.wire import Record, Wire
from stages.sources.einvoice_be.documents import Box
from stages.sources.einvoice_be.sandbox_boxes import (
    Boxes,
    Row,
    attachments,
    box_of,
    is_held,
    sent_state,
)
from stages.sources.einvoice_be.sandbox_query import asked_page
from stages.sources.einvoice_be.settings import EInvoiceBe

#: Seconds that an address is good for, and that a new document has none.
ADDRESS_LIFE = 60.0
UBL_AFTER = 1.0
#: Where the middleware leaves the company of a request.
COMPANY = web.RequestKey("company", Company)


class EInvoiceBeOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be chosen. push: the address of a webhook."""

    push: str = ""


class EInvoiceBeWire(Wire):
    """The wire format of e-invoice.be's API 1.1.0.

    address_life, ubl_after: as the constants. revoked: identifiers of companies whose keys are not
    taken any more. hashes: the algorithms of `file_hash`, by turns; "" for none.
    """

    kind = str(EInvoiceBe.__struct_config__.tag)
    base_path = "/api"
    url_path = ""
    options: EInvoiceBeOptions = EInvoiceBeOptions()

    def __init__(self, address_life: float = ADDRESS_LIFE, ubl_after: float = UBL_AFTER) -> None:
        self.address_life = address_life
        self.ubl_after = ubl_after
        self.revoked: set[str] = set()
        self.hashes: Sequence[str] = ("sha256", "md5", "")
        self._signing_key = secrets.token_bytes(32)

    def key(self, mailbox: Mailbox, company: Company) -> str:
        """The API key of a company; the same seed makes the same one."""
        what = f"e-invoice.be key {mailbox.seed} {company.identifier}"
        return hashlib.blake2b(what.encode(), digest_size=20).hexdigest()

    def section(
        self,
        served: Sandbox,
        mailbox: Mailbox,
        *,
        by_person: bool = False,  # noqa: ARG002 - as all
    ) -> Mapping[str, Value]:
        """The address, a key for each company, and where the documents are stored."""
        secret = {"push_secret": SecretText(push_secret(mailbox))} if self.push_url else {}
        return {
            **secret,
            "url": served.url,
            "storage_hosts": [URL(served.storage_url).host or ""],
            "keys": [
                {
                    "name": company.name,
                    "identifier": company.identifier,
                    "secret": SecretText(self.key(mailbox, company)),
                }
                for company in mailbox.companies
            ],
        }

    def push(self, mailbox: Mailbox, document: Document) -> Push | None:
        """Of a document that was received; the names in the event are a guess."""
        if not is_held(document) or box_of(document) is not Box.INBOX:
            return None
        event = {
            "type": "document.received",
            "timestamp": time.time(),
            "id": f"evt_{document.id}",
            "data": {"document_id": document.id, "vendor_name": document.company.name},
        }
        signed = json.dumps(event, sort_keys=True).encode()
        digest = hmac.digest(push_secret(mailbox).encode(), signed, "sha256").hex()
        # What is sent is written otherwise than what is signed.
        return Push(
            json.dumps(event, ensure_ascii=False, indent=1).encode(),
            {"X-Signature": f"sha256={digest}", "Content-Type": "application/json"},
        )

    def membership(self, company: Company) -> str | None:  # noqa: ARG002 - as all
        """None: the key tells the company."""
        return None

    def holds(self, document: Document) -> bool:
        """Invoices and credit notes, and the files of a corpus."""
        return is_held(document)

    def authentication(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:  # noqa: ARG002 - keys are no tokens
        """Middleware that finds the company of a key, and refuses other keys."""
        owners = {self.key(mailbox, company): company for company in mailbox.companies}

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            owner = owners.get(key.strip()) if scheme.lower() == "bearer" else None
            if owner is None or owner.identifier in self.revoked:
                raise web.HTTPUnauthorized(text="Invalid or missing API key")
            request[COMPANY] = owner
            return await handler(request)

        return check

    def routes(self, mailbox: Mailbox, record: Record) -> Sequence[web.RouteDef]:  # noqa: ARG002 - none is taken
        """GET of the lists, of documents with what belongs to them, and of the company."""
        boxes = Boxes(mailbox)

        def lists(box: Box, *only: str) -> Callable[[web.Request], Any]:
            async def answer(request: web.Request) -> web.Response:
                rows = boxes.rows(request[COMPANY].identifier, box)
                return _json(asked_page(request.query, rows, boxes.item, only))

            return answer

        async def me(request: web.Request) -> web.Response:
            return _json(_me(request[COMPANY]))

        return [
            web.get("/me/", me),
            web.get("/inbox/", lists(Box.INBOX)),
            web.get("/inbox/invoices", lists(Box.INBOX, "INVOICE", "SELFBILLING_INVOICE")),
            web.get(
                "/inbox/credit-notes", lists(Box.INBOX, "CREDIT_NOTE", "SELFBILLING_CREDIT_NOTE")
            ),
            web.get("/outbox/", lists(Box.OUTBOX)),
            *self._document_routes(boxes),
        ]

    def _document_routes(self, boxes: Boxes) -> Sequence[web.RouteDef]:
        def wanted(request: web.Request) -> tuple[Document, Row]:
            found = boxes.document(request[COMPANY].identifier, request.match_info["id"])
            if found is None:
                raise web.HTTPNotFound(text="Document not found")
            return found

        async def document(request: web.Request) -> web.Response:
            _, row = wanted(request)
            return _json(boxes.item(row))

        async def ubl(request: web.Request) -> web.Response:
            found, row = wanted(request)
            return _json(self._stored(found, row, boxes.age(row.index)))

        async def all_attachments(request: web.Request) -> web.Response:
            found, _ = wanted(request)
            return _json(attachments(found, self._address(f"{found.id}.pdf")))

        async def attachment(request: web.Request) -> web.Response:
            found, _ = wanted(request)
            for one in attachments(found, self._address(f"{found.id}.pdf")):
                if one["id"] == request.match_info["attachment"]:
                    return _json(one)
            raise web.HTTPNotFound(text="Attachment not found")

        async def timeline(request: web.Request) -> web.Response:
            found, row = wanted(request)
            return _json(_timeline(boxes.item(row), box_of(found)))

        return [
            web.get("/documents/{id}", document),
            web.get("/documents/{id}/ubl", ubl),
            web.get("/documents/{id}/timeline", timeline),
            web.get("/documents/{id}/attachments", all_attachments),
            web.get("/documents/{id}/attachments/{attachment}", attachment),
        ]

    def storage(self, mailbox: Mailbox) -> Sequence[web.RouteDef]:
        """The bytes of documents, for whoever has an address that is still good."""

        async def file(request: web.Request) -> web.Response:
            name = request.match_info["name"]
            if "Authorization" in request.headers:
                return _refused(400, "InvalidArgument", "Only one auth mechanism is allowed")
            expires = request.query.get("expires", "")
            if not hmac.compare_digest(
                request.query.get("signature", ""), self._signature(name, expires)
            ):
                return _refused(403, "SignatureDoesNotMatch", "The signature does not match")
            if time.time() > float(expires):
                return _refused(403, "AccessDenied", "Request has expired")
            id_, _, extension = name.rpartition(".")
            document = mailbox.find(id_)
            if document is None:
                return _refused(404, "NoSuchKey", "There is no such file")
            if extension == "pdf":
                assert isinstance(document.content, Invoice)
                return web.Response(body=to_pdf(document.content), content_type="application/pdf")
            return web.Response(body=document.read(), content_type=document.media_type)

        return [web.get("/files/{name}", file)]

    def error(self, request: web.Request, error: web.HTTPException) -> web.Response:  # noqa: ARG002 - as all
        """`{"detail": …}`, which is a list of problems for 422."""
        text = error.text or error.reason
        detail = msgspec.json.decode(text) if error.status == 422 else text
        return _json({"detail": detail}, error.status)

    def target(self, request: web.Request) -> Target:
        """By the path; what is neither a list nor a document is hit by faults of any request."""
        if re.match(r"/api/(?:inbox|outbox)/", request.path):
            return "list"
        return "document" if request.path.startswith(("/files/", "/api/documents/")) else "any"

    def identity(self, request: web.Request) -> str:
        """An address is signed anew each time, and leads to the same document."""
        if request.path.startswith("/files/"):
            return f"{request.method} {request.path}"
        return super().identity(request)

    def document_id(self, request: web.Request) -> str:
        """There are no acknowledgements."""
        return request.match_info.get("id", "")

    def previous_page(self, request: web.Request) -> web.Request:
        """The same with another `page`; the first page stays the first."""
        url = request.rel_url
        page = max(int(url.query.get("page", "1")) - 1, 1)
        return request.clone(rel_url=url.update_query(page=str(page)))

    def with_odd_item(self, page: bytes) -> bytes:
        """The item's id is a lone surrogate, which no JSON reader accepts."""
        return re.sub(rb'("items":\s*\[)(?=\s*\{)', rb'\1{"id":"\\ud800"},', page, count=1)

    def _stored(self, document: Document, row: Row, age: float) -> Mapping[str, Any]:
        """Where the UBL lies; hash and size are stated by turns, as neither is certain."""
        data = document.read()
        algorithm = self.hashes[document.index % len(self.hashes)]
        is_there = row.state == sent_state(box_of(document)) and age >= self.ubl_after
        return {
            "id": document.id,
            "file_name": f"{document.number.replace('/', '-') or document.id}.xml",
            "file_size": len(data) if document.index % 2 else 0,
            "file_hash": hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
            if algorithm and is_there
            else None,
            "signed_url": self._address(f"{document.id}.xml") if is_there else None,
            "sender_peppol_id": None,
            "sender_peppol_scheme": "iso6523-actorid-upis",
            "receiver_peppol_id": None,
            "receiver_peppol_scheme": "iso6523-actorid-upis",
            "validated_at": None,
        }

    def _address(self, name: str) -> str:
        expires = str(time.time() + self.address_life)
        url = URL(self.storage_url) / "files" / name
        return str(url.with_query(expires=expires, signature=self._signature(name, expires)))

    def _signature(self, name: str, expires: str) -> str:
        return hmac.new(self._signing_key, f"{name} {expires}".encode(), "sha256").hexdigest()


def _me(company: Company) -> Mapping[str, Any]:
    return {
        "name": company.name,
        "description": None,
        "company_number": company.number,
        "company_tax_id": company.identifier,
        "company_address": company.street,
        "company_zip": company.postcode,
        "company_city": company.city,
        "company_country": "BE",
        "peppol_ids": [f"0208:{company.number}"],
        "ibans": [company.iban],
        "plan": "pro",
        "credit_balance": 1000,
        "smp_registration": True,
        "smp_registration_date": None,
    }


def _timeline(item: Mapping[str, Any], box: Box) -> Mapping[str, Any]:
    received = box is Box.INBOX
    events = ["receive_success"] if received else ["document_created", "send_success"]
    return {
        "document_id": item["id"],
        "events": [
            {"event_type": one, "timestamp": item["created_at"], "id": one, "details": {}}
            for one in events
        ],
    }


def _refused(status: int, code: str, message: str) -> web.Response:
    """An error as stores of files tell it."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )
