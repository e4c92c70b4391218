"""Peppyrus API v1: the list of unconfirmed messages, a message, its PDF, and its confirmation.

How each fact is known: [C] from the source of clients, the vendor's own among them; [G] a guess.
Nothing of it has been held against the real system.

- Sign-in: `X-Api-Key`, of one organisation, which may have several participants at Peppol.
  `GET organization/info` gives its "name" and "VAT", `GET organization/peppol` its participants
  [C]; of the latter's form nothing is known, and each number in it counts [G].
- `GET message/list?folder=INBOX&confirmed=false&page=1&perPage=25` gives {"items": [{"id",
  "direction", "folder", "sender", "recipient", "documentType", "fileContent": base64, "created",
  "confirmed"}], "meta": {"pages", "currentPage", "itemCount"}}: whole documents, and anything that
  comes by Peppol [C]. Its order is not known. What is confirmed leaves it, and all after that moves
  up: so its pages are read from the last to the first.
- `GET message/{id}` gives one such item [C], confirmed or not [G].
- `GET message/{id}/render?format=pdf` gives a PDF, as JSON [C]; whether that is a text or an object
  is not known, and a setting.
- `PATCH message/{id}/confirm` without a body takes it off the list. A second one is refused with
  the reason phrase "Already confirmed" [C], by which status is not known. `DELETE` is never called.
- Errors: 401, 404, 422 {"message", "errors"}, 500; no limit of requests is known [C].
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from urllib.parse import quote

from msgspec import Struct

from pipeline.source import Entry, FoundCompany, Incoming
from stages.sources.http import lenient_json
from stages.sources.http.inbox.account import GONE, MAX_LIST_BYTES, ApiAccount, NotThere
from stages.sources.http.inbox.api import PDF, InboxApi
from stages.sources.http.inbox.document import as_base64, as_bytes
from stages.sources.http.inbox.item import Item, Page, meaning
from stages.sources.http.json_objects import Members, inner, key, members_of, objects, word
from stages.sources.http.json_without import without_long_texts
from stages.sources.http.known_companies import canonical
from stages.sources.http.session import ApiRequest
from stages.sources.peppyrus.settings import BYTES, NONE, OBJECT, Peppyrus

#: Pages of a list, at most: a hundred times what anybody has waiting.
MAX_PAGES = 10_000
#: The member that holds the document.
CONTENT = "fileContent"
#: Texts of JSON that may be a number of a company.
TEXTS = re.compile(rb'"([^"\\]{5,60})"')


class MessagePage(Struct, frozen=True):
    """A page of the list. all: how many items it holds, with those that are not wanted.

    pages, total: of the whole list; None if it does not say.
    """

    items: Sequence[Item | str]
    all: int
    pages: int | None = None
    total: int | None = None


class PeppyrusApi(InboxApi):
    """What an organisation is asked."""

    platform = "Peppyrus"

    def __init__(self, settings: Peppyrus) -> None:
        self._settings = settings
        if settings.pdf == NONE:
            self.forms = ()

    async def pages(self, account: ApiAccount) -> AsyncGenerator[Page, None]:
        """The first page, and the others from the last on; one by one where that is not known."""
        first = await self._page(account, 1)
        yield Page(first.items, first.total)
        if first.pages is not None:
            for number in range(min(first.pages, MAX_PAGES), 1, -1):
                yield Page((await self._page(account, number)).items)
            return
        before, number = first, 1
        while before.all and number < MAX_PAGES:
            number += 1
            page = await self._page(account, number)
            if page.items == before.items:
                return  # it gives the last page in place of one that there is not
            yield Page(page.items)
            before = page

    def fetch(
        self, account: ApiAccount, id_: str, entry: Entry, form: str
    ) -> AbstractAsyncContextManager[Incoming]:
        """GET a message, whose document is base64 in JSON; or its PDF."""
        path, label, settings = f"message/{quote(id_, safe='')}", entry.label, self._settings
        if form != PDF:
            return as_base64(account, path, label, CONTENT)
        path, query = f"{path}/render", {"format": PDF}
        if settings.pdf == BYTES:
            return as_bytes(account, path, label, "application/pdf", form=form, query=query)
        member = settings.pdf_member if settings.pdf == OBJECT else ""
        return as_base64(account, path, label, member, form=form, query=query)

    async def confirm(self, account: ApiAccount, id_: str, subject: str) -> None:
        """PATCH its confirmation."""
        await account.tell("PATCH", f"message/{quote(id_, safe='')}/confirm", subject)

    async def companies(self, account: ApiAccount) -> Sequence[FoundCompany] | None:
        """The organisation, once for each of its numbers."""
        name, number = await account.ask("organization/info", "organisation", read_organisation)
        others = await account.ask("organization/peppol", "participants", read_numbers)
        numbers = dict.fromkeys((canonical(number) or number, *others))
        return [FoundCompany(account.id, name, one) for one in numbers]

    async def _page(self, account: ApiAccount, number: int) -> MessagePage:
        query = {
            "folder": self._settings.folder,
            "confirmed": "false",
            "page": str(number),
            "perPage": str(self._settings.page_size),
        }
        body = partial(_body, account, is_first=number == 1)
        return await account.ask("message/list", "list", read_page, query, body)


async def _body(account: ApiAccount, request: ApiRequest, subject: str, *, is_first: bool) -> bytes:
    """The body of a page, without the documents in it; of one that there is not, an empty one."""
    async with request as answer:
        if answer.status in GONE:
            if is_first:
                raise NotThere(subject)
            return b""
        return await without_long_texts(account.http.body(answer, subject), MAX_LIST_BYTES, subject)


def headers(secrets: Sequence[str]) -> Mapping[str, str]:
    """What is sent with a key."""
    return {"X-Api-Key": secrets[0]}


def read_page(body: bytes) -> MessagePage:
    """A page of the list. Raises one of JSON_ERRORS if it is none."""
    found = objects(body, "items")
    items = [item for given in found if (item := _item(given)) is not None]
    if not body.lstrip().startswith(b"{"):
        return MessagePage(items, len(found))
    meta = inner(members_of(body), "meta")
    pages, total = (lenient_json.count(meta.get(name)) for name in ("pages", "itemcount"))
    return MessagePage(items, len(found), pages, total)


def read_organisation(body: bytes) -> tuple[str, str]:
    """Name and number of an organisation. Raises one of JSON_ERRORS."""
    given = members_of(body)
    return word(given, "name"), word(given, "vat", "vatnumber")


def read_numbers(body: bytes) -> Sequence[str]:
    """The numbers of companies that an answer holds, wherever they stand."""
    texts = (one.decode("utf-8", "replace") for one in TEXTS.findall(body))
    return list(dict.fromkeys(number for text in texts if (number := canonical(text))))


def _item(given: Members) -> Item | str | None:
    """An item, or why it can't be read; None if it is not one that waits."""
    if word(given, "direction").upper() == "OUT":
        return None
    if lenient_json.decoded(given.get("confirmed")) is True:
        return None
    id_ = key(given, "id")
    if id_ is None:
        return "it has no id of use"
    name, kind = meaning(word(given, "documenttype"))
    return Item(
        id_,
        receivers=tuple(filter(None, [word(given, "recipient")])),
        sender=word(given, "sender"),
        name=name,
        kind=kind,
    )
