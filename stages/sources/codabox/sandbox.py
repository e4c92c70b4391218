"""CodaBox in the sandbox: delivery API v2, with what its clients of the wild rely on.

Where the real behaviour is unknown it is the stricter one, and a field of CodaBoxWire. Documents of
unknown kind are a model and a format that nobody knows.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from stages.kind import Kind
from stages.sandbox.companies import Company
from stages.sandbox.corpus import Document
from stages.sandbox.fault_spec import Target
from stages.sandbox.identity import Ids
from stages.sandbox.invoices import Invoice
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.pdf import to_pdf
from stages.sandbox.platform import Sandbox, SecretText, Value
from stages.sandbox.state_index import State
from stages.sandbox.statements import Statement
from stages.sandbox.tokens import Tokens
from stages.sandbox.wire import Record, Wire
from stages.sources.codabox.settings import CodaBox

MODELS = {
    Kind.PURCHASE: "purchase_invoice",
    Kind.SALES: "sales_invoice",
    Kind.STATEMENT: "coda",
    Kind.UNKNOWN: "digital_letter",
}
FORMATS = {
    "coda": ["cod", "pdf", "xml"],
    "soda": ["pdf", "xml"],
    "expense": ["pdf", "xml"],
    "purchase_invoice": ["pdf", "xml"],
    "sales_invoice": ["pdf", "xml"],
    "digital_letter": ["raw"],
}
MEDIA_TYPES = {
    "cod": "application/vnd.coda",
    "pdf": "application/pdf",
    "xml": "application/xml",
}
#: The word of the journal for what an offset says.
RECEIVED = "RECEIVED"
FIRST_FEED = 301
SOFTWARE_COMPANY = "5e1f3a52-7c1d-4b8e-9a55-2b8f3c2d7e42"
#: What is answered without a user and a password.
OPEN = ("request-access-token", "get-credentials", "sandbox-mails")


class CodaBoxWire(Wire):
    """The wire format of CodaBox's delivery API v2.

    fetch_delay: seconds in which a feed is listed once. lenient_offsets: whether an offset is taken
    that is not in the feed any more. models: of documents that have another one, by their ids.
    damaged: ids of statements whose `cod` has a byte changed. mails: the one-time tokens that were
    mailed, with the number that each is for. lists, early: how often feeds were listed, and how
    often too early. offsets: those that were put, by feed.
    """

    kind = str(CodaBox.__struct_config__.tag)
    base_path = "/v2"

    def __init__(
        self,
        fetch_delay: float = 2.0,
        *,
        lenient_offsets: bool = False,
        models: Mapping[str, str] | None = None,
        damaged: Collection[str] = (),
    ) -> None:
        self.fetch_delay = fetch_delay
        self.lenient_offsets = lenient_offsets
        self.models = dict(models or {})
        self.damaged = set(damaged)
        self.mails: list[tuple[str, str]] = []
        self.lists = self.early = 0
        self.offsets: dict[str, list[str]] = defaultdict(list)
        self._generation = 0
        self._listed: dict[tuple[str, str], float] = {}
        #: What is delivered a second time, by the feed.
        self._again: dict[str, list[Document]] = defaultdict(list)

    def routes(self, mailbox: Mailbox, record: Record) -> Sequence[web.RouteDef]:
        """All of the API. Without the slash at its end GET is redirected, all else is not found."""
        routes = _Routes(self, mailbox, record)
        found = [
            web.get("/delivery/pod-client/", routes.pod),
            web.get("/delivery/{feed:feed|redownload-feed}/{id}/", routes.feed),
            web.put("/delivery/{feed:feed|redownload-feed}/{id}/", routes.offset),
            web.get("/delivery/{from:download|redownload}/{index}/{format}/", routes.document),
            web.get("/clients/", routes.clients),
            web.get("/fiduciaries/", routes.fiduciaries),
            web.post("/request-access-token/invoicing-software/", routes.request_token),
            web.get("/get-credentials/{token}/", routes.credentials),
            web.get("/sandbox-mails/", routes.mails),
        ]
        bare = [
            web.route(one.method, one.path.rstrip("/"), _to_slash if one.method == "GET" else _gone)
            for one in found
        ]
        return [*found, *bare]

    def revoke(self) -> None:
        """Have the user and password end; a new one-time token brings others."""
        self._generation += 1

    def redeliver(self, document: Document, feed: str) -> None:
        """Put a document into the redelivery feed, as a person at CodaBox does."""
        self._again[feed].append(document)

    def user(self, seed: int) -> tuple[str, str]:
        """The user and password that are good now; they outlive a restart of the sandbox."""
        what = f"codabox {seed} {self._generation}"
        return f"sandbox-{seed}", blake2b(what.encode(), digest_size=16).hexdigest()

    def membership(self, company: Company) -> str | None:  # noqa: ARG002 - it has none
        """None: a company is known by the number of its file."""
        return None

    def section(
        self, served: Sandbox, mailbox: Mailbox, *, by_person: bool = False
    ) -> Mapping[str, Value]:
        """A user and a password, or the number of the firm for a sign-in by a person."""
        keys: dict[str, Value] = {
            "url": served.url,
            "software_company": SecretText(SOFTWARE_COMPANY),
        }
        if by_person:
            return {**keys, "vat": mailbox.companies[0].identifier}
        username, password = self.user(mailbox.seed)
        return {**keys, "username": username, "password": SecretText(password)}

    def authentication(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:  # noqa: ARG002 - it has users, not tokens
        """HTTP Basic and the key of the software; the key alone to get them."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            part = request.path.removeprefix(self.base_path).strip("/").partition("/")[0]
            key = request.headers.get("X-Software-Company")
            if part != "sandbox-mails" and key != SOFTWARE_COMPANY:
                raise web.HTTPForbidden(text="Unknown software company.")
            pair = ":".join(self.user(mailbox.seed)).encode()
            basic = f"Basic {base64.b64encode(pair).decode()}"
            if part not in OPEN and request.headers.get("Authorization") != basic:
                raise web.HTTPUnauthorized(
                    text="Invalid username/password.", headers={"WWW-Authenticate": "Basic"}
                )
            return await handler(request)

        return check

    def error(self, request: web.Request, error: web.HTTPException) -> web.Response:  # noqa: ARG002 - all are alike
        """JSON with `detail`."""
        if isinstance(error, web.HTTPRedirection):
            location = error.headers["Location"]
            return web.Response(status=error.status, headers={"Location": location})
        headers = {name: error.headers[name] for name in ("Retry-After",) if name in error.headers}
        return web.json_response({"detail": error.text}, status=error.status, headers=headers)

    def target(self, request: web.Request) -> Target:
        """By the method and the first parts of the path."""
        if request.method == "PUT":
            return "acknowledgement"
        parts = request.path.removeprefix(self.base_path).strip("/").split("/")
        if parts[0] == "request-access-token":
            return "authorization"
        if parts[0] == "get-credentials":
            return "token"
        return "document" if len(parts) > 1 and parts[1].endswith("download") else "list"

    def document_id(self, request: web.Request) -> str:
        """The first document of the feed, whose own id is only in the body."""
        return request.path.rstrip("/").rpartition("/")[2]

    def previous_page(self, request: web.Request) -> web.Request:
        """The same: a feed has no pages."""
        return request

    def with_odd_item(self, page: bytes) -> bytes:
        """An entry whose index is a lone surrogate, which no JSON reader accepts."""
        return re.sub(
            rb'("feed_entries":\s*\[)(?=\s*\{)', rb'\1{"feed_index":"\\ud800"},', page, count=1
        )

    def note_list(self, kind: str, feed: str) -> None:
        """Count a list of a feed. 429 if the last one was less than fetch_delay ago."""
        now = time.monotonic()
        last = self._listed.get((kind, feed))
        if last is not None and now < last + self.fetch_delay:
            self.early += 1
            raise web.HTTPTooManyRequests(text="Request was throttled.")
        self.lists += 1
        self._listed[kind, feed] = now

    def forget_lists(self) -> None:
        """Have every feed be listed at once, as after fetch_delay."""
        self._listed.clear()

    def again(self, feed: str) -> list[Document]:
        """The redelivery feed of a client."""
        return self._again[feed]

    def model(self, document: Document) -> str:
        """The model of a document."""
        return self.models.get(document.id, MODELS[document.kind])

    def formats(self, model: str) -> Sequence[str]:
        """In which formats a model can be had; one that is not known, in one that isn't either."""
        return FORMATS.get(model, ["raw"])


class _Routes:
    """The answers to requests, over one mailbox."""

    def __init__(self, wire: CodaBoxWire, mailbox: Mailbox, record: Record) -> None:
        self._wire = wire
        self._mailbox = mailbox
        self._record = record
        self._ids = Ids(mailbox.seed)
        self._tokens: set[str] = set()
        self._feeds = {
            str(FIRST_FEED + number): company for number, company in enumerate(mailbox.companies)
        }

    async def pod(self, _: web.Request) -> web.Response:
        fiduciary = self._ids.of(10**6)
        clients = [
            {
                "id": int(id_),
                "client_id": self._ids.of(10**6 + int(id_)),
                "client_name": company.name,
                "client_code": company.accounting_file_id,
                "fiduciary_id": fiduciary,
                "target_root_state": "default",
                "delivery_config": None,
            }
            for id_, company in self._feeds.items()
        ]
        formats = FORMATS | {model: ["raw"] for model in self._wire.models.values()} | FORMATS
        delay = self._wire.fetch_delay
        return web.json_response(
            {
                "id": 71,
                "fetch_delay": int(delay) if delay == int(delay) else delay,
                "allowed_formats": formats,
                "feed_clients": clients,
            }
        )

    async def feed(self, request: web.Request) -> web.Response:
        kind, id_ = request.match_info["feed"], request.match_info["id"]
        waiting = self._waiting(kind, id_)
        self._wire.note_list(kind, id_)
        entries = [self._entry(document) for document in waiting]
        type_ = "redownload" if kind == "redownload-feed" else "download"
        return web.json_response({"id": int(id_), "type": type_, "feed_entries": entries})

    async def offset(self, request: web.Request) -> web.Response:
        kind, id_ = request.match_info["feed"], request.match_info["id"]
        waiting = self._waiting(kind, id_)
        try:
            index = (await request.json())["feed_offset"]
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest(text="feed_offset: This field is required.") from None
        put = self._wire.offsets[id_ if kind == "feed" else f"{kind}/{id_}"]
        places = [place for place, one in enumerate(waiting) if one.id == index]
        known = self._mailbox.find(str(index))
        is_old = known is not None and known.company is self._feeds[id_]
        may_repeat = bool(put and put[-1] == index) or (is_old and self._wire.lenient_offsets)
        if not places and not may_repeat:
            raise web.HTTPBadRequest(text="feed_offset: This index is not in the feed.")
        put.append(index)
        for document in waiting[: places[0] + 1] if places else ():
            if kind == "feed":
                self._mailbox.set_state(document, State.ACKED)
            self._record(document.id, RECEIVED, "")
        if kind != "feed" and places:
            del waiting[: places[0] + 1]
        return web.json_response({"id": int(id_), "feed_offset": index})

    async def document(self, request: web.Request) -> web.Response:
        document = self._mailbox.find(request.match_info["index"])
        format_ = request.match_info["format"]
        if document is None:
            raise web.HTTPNotFound(text="Not found.")
        if format_ not in self._wire.formats(self._wire.model(document)):
            raise web.HTTPNotFound(text=f"There is no {format_} of this document.")
        data = self._content(document, format_)
        if data is None:
            raise web.HTTPNotFound(text=f"There is no {format_} of this document.")
        if document.id in self._wire.damaged and format_ == "cod":
            # In the amount of the first balance.
            data = data[:130] + b"?" * 60 + data[190:]
        media_type = MEDIA_TYPES.get(format_, f"application/vnd.codabox.{format_}")
        return web.Response(body=data, content_type=media_type)

    async def clients(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "id": self._ids.of(10**6 + int(id_)),
                    "client_code": company.accounting_file_id,
                    "legal_entity": {"name": company.name, "enterprise_num": company.number},
                    "bank_accounts": [{"iban": company.iban}] if company.iban else [],
                }
                for id_, company in self._feeds.items()
            ]
        )

    async def fiduciaries(self, _: web.Request) -> web.Response:
        return web.json_response([{"id": self._ids.of(10**6), "name": "Sandbox fiduciary"}])

    async def request_token(self, request: web.Request) -> web.Response:
        try:
            number = str((await request.json())["vat"])
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest(text="vat: This field is required.") from None
        if number not in [company.identifier for company in self._mailbox.companies]:
            raise web.HTTPBadRequest(text="vat: There is no client with this number.")
        token = secrets.token_hex(16)
        self._tokens.add(token)
        self._wire.mails.append((number, token))
        return web.json_response({}, status=201)

    async def credentials(self, request: web.Request) -> web.Response:
        token = request.match_info["token"]
        if token not in self._tokens:
            raise web.HTTPNotFound(text="Not found.")
        self._tokens.remove(token)
        username, password = self._wire.user(self._mailbox.seed)
        return web.json_response({"username": username, "password": password})

    async def mails(self, _: web.Request) -> web.Response:
        """What was mailed: the sandbox has no mail."""
        return web.json_response([{"vat": vat, "token": one} for vat, one in self._wire.mails])

    def _waiting(self, kind: str, id_: str) -> list[Document]:
        if id_ not in self._feeds:
            raise web.HTTPNotFound(text="Not found.")
        if kind != "feed":
            return self._wire.again(id_)
        return self._mailbox.oldest(State.PENDING, platform_ids=[self._feeds[id_].platform_id])

    def _entry(self, document: Document) -> Mapping[str, Any]:
        model = self._wire.model(document)
        return {
            "feed_index": document.id,
            "document_model": model,
            "metadata": _metadata(document) if model in FORMATS else {"pages": [1, None]},
        }

    def _content(self, document: Document, format_: str) -> bytes | None:
        """A document in a format; None where this sandbox has none."""
        own = "cod" if isinstance(document.content, Statement) else "xml"
        if format_ in (own, "raw"):
            return document.read()
        if format_ == "pdf" and isinstance(document.content, Invoice):
            return to_pdf(document.content)
        return None


def _metadata(document: Document) -> Mapping[str, Any] | None:
    match document.content:
        case Statement() as statement:
            return {
                "iban": statement.iban,
                "bank_id": statement.bic,
                "currency": "EUR",
                "extension_zone": None,
                "first_statement_number": statement.sequence,
                "last_statement_number": statement.sequence,
                "movement_count": len(statement.movements),
                "new_balance_date": str(statement.day),
            }
        case Invoice() as invoice:
            return {"invoice_number": invoice.number, "invoice_date": str(invoice.issued)}
    return None


async def _gone(_: web.Request) -> web.Response:
    raise web.HTTPNotFound(text="Not found.")


async def _to_slash(request: web.Request) -> web.Response:
    raise web.HTTPMovedPermanently(f"{request.path}/")
