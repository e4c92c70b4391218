"""Billit's account in the sandbox: its options, its companies, and what a PartyID may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from stages.sandbox.corpus import Document
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.state_index import State
from stages.sandbox.wire import Record

#: The PartyID of a company that is none of the mailbox's.
FOREIGN = "999999"
#: The word of the journal for what has been confirmed.
CONFIRMED = "CONFIRMED"


class BillitOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be chosen.

    door: of the configuration that is written. hash: how a feed states the SHA-256. pause: seconds
    in which a feed may be asked for once. attachment: bytes of one in each invoice of the inbox.
    again: the status of a second confirmation. context: which header has to bear an item's PartyID.
    foreign: whether the feed begins with an item of a company that nobody has configured. account:
    whether an inbox shows what is for all companies of the account, so that PartyID says nothing;
    narrowed: whether ReceiverCompanyID gives each company ten places of its own then. revoked: a
    PartyID whose company has taken back its right. registered: whether the feed is there. push:
    the address of a webhook.
    """

    door: Literal["feeds", "inbox"] = "feeds"
    hash: Literal["hex", "base64", "none", "wrong"] = "hex"
    pause: Annotated[float, Meta(ge=0)] = 60.0
    attachment: Annotated[int, Meta(ge=0)] = 0
    again: Literal[200, 400, 404, 409] = 400
    context: Literal["any", "accountant", "company"] = "any"
    foreign: bool = False
    account: bool = False
    narrowed: bool = True
    revoked: str = ""
    registered: bool = True
    push: str = ""


class Account:
    """A mailbox as the account of one user, who has access to all of its companies but one."""

    def __init__(self, mailbox: Mailbox, options: BillitOptions, record: Record) -> None:
        self.mailbox = mailbox
        self.options = options
        self._record = record

    def routes(self) -> Sequence[web.RouteDef]:
        """The account itself."""
        return [web.get("/account/accountInformation", self.information)]

    async def information(self, _: web.Request) -> web.Response:
        """The companies."""
        found = [
            _company(int(one.platform_id), one.name, one.identifier)
            for one in self.mailbox.companies
            if one.platform_id != self.options.revoked
        ]
        if self.options.foreign:
            found.append(_company(int(FOREIGN), "Foreign", "BE0400000000"))
        return answer({"Companies": found})

    def party(self, request: web.Request) -> str:
        """The company of a request: the oldest one, if there is no PartyID."""
        party = request.headers.get("PartyID")
        known = [one.platform_id for one in self.mailbox.companies]
        if party is None:
            return known[0]
        self.check_right(party)
        if party not in known:
            raise web.HTTPForbidden(text=f"You have no access to party {party}")
        return party

    def check_right(self, party: str | None) -> None:
        """Refuse what concerns a company that has taken back its right."""
        if party and party == self.options.revoked:
            raise web.HTTPForbidden(text=f"Party {party} has revoked the access")

    def item(self, request: web.Request, first: int) -> Document:
        """The document of the number in the path; first: that of the first one."""
        document = self.find(request.match_info["item"], first)
        if document is None:
            raise web.HTTPNotFound(text="The item does not exist")
        return document

    def find(self, number: str, first: int) -> Document | None:
        """The document of a number."""
        index = int(number) - first if number.isdecimal() else -1
        return self.mailbox[index] if 0 <= index < len(self.mailbox) else None

    def confirm(self, document: Document) -> web.Response:
        """Take a document off the lists."""
        again = self.options.again
        if self.mailbox.state(document) is not State.PENDING and again != 200:
            refusal = web.HTTPBadRequest(text="The item has already been confirmed")
            refusal.set_status(again)
            raise refusal
        self.mailbox.set_state(document, State.ACKED)
        self._record(document.id, CONFIRMED, "")
        return web.Response(status=200)


def answer(body: object, status: int = 200) -> web.Response:
    """An answer in JSON."""
    data = msgspec.json.encode(body)
    return web.Response(body=data, status=status, content_type="application/json")


async def body_of(request: web.Request) -> Mapping[str, Any]:
    """What was sent, which may be nothing."""
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=str(error)) from None


def _company(party: int, name: str, number: str) -> Mapping[str, Any]:
    return {"PartyID": party, "Name": name, "VATNumber": number}
