"""Billit's accountant feeds in the sandbox: all that arrives once a feed is registered."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from aiohttp import web

from stages.kind import Kind
from stages.sandbox.corpus import Document
from stages.sandbox.state_index import State
from stages.sources.billit.sandbox_account import (
    FOREIGN,
    Account,
    BillitOptions,
    answer,
    body_of,
)

#: The number of the first item.
FIRST_ITEM = 800
#: A feed that is registered from the start, with all that the mailbox holds.
FEED = "synqup-1"


class FeedRoutes:
    """What is answered below accountant/feeds."""

    def __init__(self, account: Account) -> None:
        self._account = account
        #: By name, how many documents had arrived when a feed was registered; and when each was
        #: asked for.
        self._feeds = {FEED: 0} if account.options.registered else {}
        self._asked: dict[str, float] = {}

    def routes(self) -> Sequence[web.RouteDef]:
        """The feeds; a feed, a file, and a confirmation."""
        return [
            web.get("/accountant/feeds", self._names),
            web.post("/accountant/feeds", self._register),
            web.get("/accountant/feeds/{feed}", self._list),
            web.get("/accountant/feeds/{feed}/{item}", self._file),
            web.post("/accountant/feeds/{feed}/{item}/confirm", self._confirm),
        ]

    async def _names(self, _: web.Request) -> web.Response:
        return answer([{"Name": name} for name in self._feeds])

    async def _register(self, request: web.Request) -> web.Response:
        name = (await body_of(request)).get("Name")
        if not isinstance(name, str) or not name.strip():
            raise web.HTTPBadRequest(text="Name is required")
        self._feeds.setdefault(name, len(self._account.mailbox))
        return web.Response(status=200)

    async def _list(self, request: web.Request) -> web.Response:
        since, options = self._since(request), self._account.options
        name, now = request.match_info["feed"], time.monotonic()
        due = self._asked.get(name, now - options.pause) + options.pause
        if now < due:
            raise web.HTTPTooManyRequests(
                text="Only query this once per minute",
                headers={"Retry-After": str(int(due - now) + 1)},
            )
        self._asked[name] = now
        items = [_item(one) for one in self._account.mailbox.oldest(State.PENDING, since=since)]
        if options.foreign:
            foreign = {"FeedItemID": 1, "EntityID": 1, "EntityType": "Order"}
            items.insert(0, {**foreign, "PartyID": int(FOREIGN)})
        return answer(items)

    async def _file(self, request: web.Request) -> web.Response:
        self._since(request)
        document = self._account.item(request, FIRST_ITEM)
        self._check(request, document)
        return _file(document, self._account.options)

    async def _confirm(self, request: web.Request) -> web.Response:
        self._since(request)
        await body_of(request)
        document = self._account.item(request, FIRST_ITEM)
        self._check(request, document)
        return self._account.confirm(document)

    def _since(self, request: web.Request) -> int:
        since = self._feeds.get(request.match_info["feed"])
        if since is None:
            raise web.HTTPNotFound(text="Feed not found")
        return since

    def _check(self, request: web.Request, document: Document) -> None:
        """Refuse what lacks the PartyID of the document's company where it is to be."""
        own = document.company.platform_id
        self._account.check_right(own)
        header = {"accountant": "PartyID", "company": "ContextPartyID"}.get(
            self._account.options.context
        )
        if header is not None and request.headers.get(header) != own:
            raise web.HTTPForbidden(text=f"{header} has to be {own}")


def _item(document: Document) -> dict[str, Any]:
    return {
        "FeedItemID": FIRST_ITEM + document.index,
        "EntityID": 2_200_000 + document.index,
        "EntityType": "Document" if document.kind is Kind.STATEMENT else "Order",
        "PartyID": int(document.company.platform_id),
    }


def _file(document: Document, options: BillitOptions) -> web.Response:
    data = document.read()
    digest = sha256(data if options.hash != "wrong" else data + b"!").digest()
    stated = b64encode(digest).decode() if options.hash == "base64" else digest.hex()
    extension = "cod" if document.kind is Kind.STATEMENT else "xml"
    said: Mapping[str, Any] = {
        "FileName": f"{document.number or document.id}.{extension}",
        "FileContent": b64encode(data).decode(),
        "FileContentSHA256Hash": None if options.hash == "none" else stated,
    }
    return answer(said)
