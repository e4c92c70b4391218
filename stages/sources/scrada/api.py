"""Scrada API v1: the list of unconfirmed documents, a document, its PDF, and its confirmation.

How each fact is known: [P] from the vendor's own collection of requests and its pages, [C] from the
source of clients, [G] a guess. Nothing of it has been held against the real system.

- Sign-in: `X-API-KEY` and `X-PASSWORD`, which are of one company; `Language` says in which language
  errors are [P].
- `GET company/{companyID}/peppol/inbound/document/unconfirmed`, without parameters, gives
  {"results": [{"id", "internalNumber", "peppolSenderID", "peppolReceiverID",
  "peppolDocumentTypeValue", …}]} [P]; one client expects the array alone [C]. Whether it is limited
  in number is not known: it is read until nothing new comes.
- `GET …/document/{id}` gives the document itself as application/xml, `GET …/{id}/pdf` a PDF that
  Scrada has made; its answer was seen without a media type [P].
- `PUT …/{id}/confirm` takes it off the list, and gives 200 without a body [P]. What a second one
  gets is not known; one that says "already", 404 or 410 counts as told [G].
- Errors: {"errorCode", "defaultFormat", "innerErrors"} [P]. 429 with `X-RateLimit-Reset` (seconds
  since 1970): 10 requests in 10 s, 60 in a minute [C]; strictly so since January 2026 [P].
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from urllib.parse import quote

from pipeline.source import Entry, Incoming
from stages.sources.http.inbox.account import ApiAccount
from stages.sources.http.inbox.api import PDF, InboxApi
from stages.sources.http.inbox.document import as_bytes
from stages.sources.http.inbox.item import Item, Page, meaning
from stages.sources.http.json_objects import Members, key, objects, word

#: Requests for a document: for itself, and for its confirmation.
REQUESTS_EACH = 2
#: Items of a list that are given at once. One takes a company two seconds.
ITEMS_AT_ONCE = 5


class ScradaApi(InboxApi):
    """What a company is asked. in_1m: requests that Scrada takes in a minute; 0 for any number."""

    platform = "Scrada"
    # The key is of one company, so all that its list holds is that company's.
    others = False

    def __init__(self, in_1m: int) -> None:
        self._in_1m = in_1m

    async def pages(self, account: ApiAccount) -> AsyncGenerator[Page, None]:
        """The whole list, which comes at once: few at a time, so that no backlog keeps others."""
        items = await account.ask(f"{_documents(account)}/unconfirmed", "list", read_list)
        for start in range(0, len(items), ITEMS_AT_ONCE):
            yield Page(items[start : start + ITEMS_AT_ONCE], len(items))

    def fetch(
        self, account: ApiAccount, id_: str, entry: Entry, form: str
    ) -> AbstractAsyncContextManager[Incoming]:
        """GET a document, which is the answer itself; or its PDF."""
        path = f"{_documents(account)}/{quote(id_, safe='')}"
        if form == PDF:
            return as_bytes(account, f"{path}/pdf", entry.label, "application/pdf", form=form)
        return as_bytes(account, path, entry.label, "application/xml, */*;q=0.5")

    async def confirm(self, account: ApiAccount, id_: str, subject: str) -> None:
        """PUT its confirmation."""
        path = f"{_documents(account)}/{quote(id_, safe='')}/confirm"
        await account.tell("PUT", path, subject)

    def remark(self, total: int) -> str:
        """How long so many documents take by Scrada's limit."""
        minutes = total * REQUESTS_EACH / self._in_1m if self._in_1m else 0
        if minutes <= 1:
            return ""
        return f", which takes about {minutes:,.0f} minutes, as Scrada takes {self._in_1m} a minute"


def headers(language: str, secrets: Sequence[str]) -> Mapping[str, str]:
    """What is sent with a key and its password."""
    return {"X-API-KEY": secrets[0], "X-PASSWORD": secrets[1], "Language": language}


def read_list(body: bytes) -> Sequence[Item | str]:
    """The items of the list, or why one can't be read. Raises one of JSON_ERRORS."""
    return [_item(given) for given in objects(body, "results", "items")]


def _documents(account: ApiAccount) -> str:
    return f"company/{quote(account.id, safe='')}/peppol/inbound/document"


def _item(given: Members) -> Item | str:
    id_ = key(given, "id")
    if id_ is None:
        return "it has no id of use"
    name, kind = meaning(word(given, "peppoldocumenttypevalue"))
    return Item(
        id_,
        receivers=tuple(filter(None, [word(given, "peppolreceiverid")])),
        sender=word(given, "peppolsenderid"),
        name=name,
        kind=kind,
    )
