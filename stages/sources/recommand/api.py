"""Recommand API v1: the list of unread documents, a document, and that it has been read.

How each fact is known: [C] read in the server's own published source (2026); [G] a guess. Whether
the hosted service runs that source is not known, and nothing has been held against it.

- Sign-in: HTTP Basic with a key and its secret, or a bearer token [C]. It is a team's, which has
  companies: `GET companies` gives {"companies": [{"id", "name", "enterpriseNumber", "vatNumber",
  "isSmpRecipient", "isVerified", …}]} [C].
- `GET inbox` gives all incoming documents that are unread, of all companies, newest first, without
  pages and without their content: {"documents": [{"id", "companyId", "direction", "senderId",
  "receiverId", "docTypeId", "type", "readAt", …}]} [C]. type: "invoice", "creditNote",
  "selfBillingInvoice", "selfBillingCreditNote", "messageLevelResponse", "unknown"; an answer to an
  invoice is "unknown", and docTypeId tells [C].
- `GET documents/{id}` gives {"document": {…, "xml": text or null, "parsed": {…}}}; the attachments
  stand in "parsed" a second time [C]. It works for a document that has been read, so that a
  document can be delivered again without being marked as unread.
- `GET documents/{id}/render/pdf` gives a PDF of it [C].
- `POST documents/{id}/mark-as-read` may be repeated [C]. The form for many at once is not
  documented, and fails as a whole where one of them is unknown [C]: it is not used.
- Errors: {"success": false, "errors": {field: [text]}}; no limit of requests is in the source [C].
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import quote

from pipeline.errors import Rejected, Skipped
from pipeline.source import Announced, Entry, FoundCompany, Incoming
from stages.kind import Kind
from stages.sources.http.auth import BEARER
from stages.sources.http.inbox.account import ApiAccount
from stages.sources.http.inbox.api import PDF, InboxApi
from stages.sources.http.inbox.document import as_bytes, check_page, whole
from stages.sources.http.inbox.item import ANSWER, CREDIT_NOTE, INVOICE, OTHER, Item, Page, meaning
from stages.sources.http.json_objects import Members, key, objects, word
from stages.sources.http.json_text import JsonText, NoText

#: What the types of documents mean; of the others docTypeId tells.
TYPES = {
    "invoice": (INVOICE, Kind.PURCHASE),
    "creditnote": (CREDIT_NOTE, Kind.PURCHASE),
    "selfbillinginvoice": (INVOICE, Kind.SALES),
    "selfbillingcreditnote": (CREDIT_NOTE, Kind.SALES),
    "messagelevelresponse": (ANSWER, None),
}
#: Where the document stands in the answer.
XML = ("document", "xml")


class RecommandApi(InboxApi):
    """What a team is asked."""

    platform = "Recommand"

    async def pages(self, account: ApiAccount) -> AsyncGenerator[Page, None]:
        """The whole inbox, which comes at once."""
        items = await account.ask("inbox", "inbox", read_inbox)
        yield Page(items, len(items))

    def fetch(
        self, account: ApiAccount, id_: str, entry: Entry, form: str
    ) -> AbstractAsyncContextManager[Incoming]:
        """GET a document, whose XML is a text in JSON; or its PDF."""
        path = f"documents/{quote(id_, safe='')}"
        if form == PDF:
            path += "/render/pdf"
            return as_bytes(account, path, entry.label, "application/pdf", form=form)
        return _document(account, path, entry)

    async def confirm(self, account: ApiAccount, id_: str, subject: str) -> None:
        """POST that it has been read."""
        path = f"documents/{quote(id_, safe='')}/mark-as-read"
        await account.tell("POST", path, subject, b'{"read":true}')

    async def companies(self, account: ApiAccount) -> Sequence[FoundCompany] | None:
        """The companies of the team."""
        return await account.ask("companies", "companies", read_companies)


@asynccontextmanager
async def _document(account: ApiAccount, path: str, entry: Entry) -> AsyncIterator[Incoming]:
    async with account.request("GET", path, entry.label) as answer:
        check_page(answer, entry.label)
        text = JsonText(account.http.body(answer, entry.label), XML, entry.label)
        yield Incoming(Announced("application/xml"), _pieces(text, entry))


async def _pieces(text: JsonText, entry: Entry) -> AsyncIterator[bytes]:
    try:
        async for piece in whole(text.pieces(), entry.label):
            yield piece
    except NoText:
        if entry.meta.kind is None and entry.meta.by_hand is None:
            raise Skipped(entry.label, "it is no invoice, and Recommand has no XML of it") from None
        raise Rejected(
            entry.label,
            "Recommand has no XML of it",
            "Look at it there, and ask its sender for it; mark it as read there once it is settled",
        ) from None


def headers(secrets: Sequence[str]) -> Mapping[str, str]:
    """What is sent with a token, or with the two parts of a key."""
    if len(secrets) == 1:
        return {"Authorization": BEARER + secrets[0]}
    return {"Authorization": f"Basic {b64encode(':'.join(secrets).encode()).decode()}"}


def read_inbox(body: bytes) -> Sequence[Item | str]:
    """The items of the inbox, or why one can't be read. Raises one of JSON_ERRORS."""
    return [
        _item(given)
        for given in objects(body, "documents")
        if word(given, "direction").lower() in ("", "incoming")
    ]


def read_companies(body: bytes) -> Sequence[FoundCompany]:
    """The companies of a team. Raises one of JSON_ERRORS."""
    return [
        FoundCompany(id_, word(one, "name"), word(one, "enterprisenumber", "vatnumber"))
        for one in objects(body, "companies")
        if (id_ := key(one, "id"))
    ]


def _item(given: Members) -> Item | str:
    id_ = key(given, "id")
    if id_ is None:
        return "it has no id of use"
    type_ = "".join(filter(str.isalnum, word(given, "type").lower()))
    name, kind = TYPES.get(type_) or meaning(word(given, "doctypeid"))
    return Item(
        id_,
        key(given, "companyid") or "",
        tuple(filter(None, [word(given, "receiverid")])),
        word(given, "senderid"),
        name or OTHER,
        kind,
    )
