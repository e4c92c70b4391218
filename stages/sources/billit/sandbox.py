"""Billit in the sandbox: the accountant feeds, the Peppol inbox, and the account, of API v1.

Where Billit does not say what it does, the stricter choice is taken, and is an option.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from stages.kind import Kind
from stages.sandbox.corpus import Document
from stages.sandbox.fault_spec import Target
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.platform import Sandbox, SecretText, Value
from stages.sandbox.pushing import Push, push_secret
from stages.sandbox.tokens import IssuerRules, Tokens
from stages.sandbox.wire import Record, Wire
from stages.sources.billit.sandbox_account import Account, BillitOptions, answer
from stages.sources.billit.sandbox_feeds import FEED, FIRST_ITEM as FIRST_FEED_ITEM, FeedRoutes
from stages.sources.billit.sandbox_inbox import FIRST_ITEM as FIRST_INBOX_ITEM, InboxRoutes
from stages.sources.billit.settings import FEEDS, Billit

JSON = {"Content-Type": "application/json"}


class BillitWire(Wire):
    """The wire format of Billit's API v1."""

    kind = str(Billit.__struct_config__.tag)
    base_path = "/v1"
    token_path = "/OAuth2/token"  # noqa: S105 - a path
    authorize_path = "/Account/Logon"
    rules = IssuerRules(refresh_lifetime=0, states_end=False, access_lifetime=3600, plain=True)
    options: BillitOptions = BillitOptions()
    _account: Account

    def routes(self, mailbox: Mailbox, record: Record) -> Sequence[web.RouteDef]:
        """The account, the inbox with its files, and the feeds."""
        self._account = account = Account(mailbox, self.options, record)
        parts = (account, InboxRoutes(account), FeedRoutes(account))
        return [route for part in parts for route in part.routes()]

    def authentication(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:
        """An API key, or a bearer token."""
        key = api_key(mailbox.seed)

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            bearer = request.headers.get("Authorization", "")
            if request.headers.get("ApiKey") != key and not tokens.valid(bearer):
                raise web.HTTPUnauthorized(text="Invalid key or access token")
            return await handler(request)

        return check

    def holds(self, document: Document) -> bool:
        """By Peppol come purchases; sales are answered, and statements don't come at all."""
        return self.options.door == FEEDS or document.kind not in (Kind.SALES, Kind.STATEMENT)

    def error(self, request: web.Request, error: web.HTTPException) -> web.Response:
        """A list of errors; those of the feeds in the other form."""
        code = error.reason.replace(" ", "")
        if error.status == 401:
            code = "InvalidAccessToken"
        body: dict[str, Any] = {"errors": [{"Code": code, "Description": error.text}]}
        if "/accountant/" in request.path and error.status != 401:
            body = {
                "ErrorEnum": code,
                "ErrorMessage": error.text,
                "ErrorParams": [],
                "DefaultText": error.text,
                "Append": None,
            }
        response = answer(body, error.status)
        if "Retry-After" in error.headers:
            response.headers["Retry-After"] = error.headers["Retry-After"]
        return response

    def section(
        self, served: Sandbox, mailbox: Mailbox, *, by_person: bool = False
    ) -> Mapping[str, Value]:
        """An API key, as for one's own administration; or the sign-in of a person."""
        keys: dict[str, Value] = {"door": self.options.door, "url": served.url}
        if self.options.door == FEEDS:
            keys["feed"] = FEED
            keys["list_pause"] = self.options.pause
            if not self.options.registered:
                keys["register_feed"] = True
        if self.options.context != "any":
            keys["context_header"] = self.options.context
        if self.push_url:
            keys["push_secret"] = SecretText(push_secret(mailbox))
        if not by_person:
            return {**keys, "api_key": SecretText(api_key(mailbox.seed))}
        return {
            **keys,
            "token_url": served.token_url,
            "authorize_url": served.authorize_url,
            "client_id": served.client_id,
            "client_secret": SecretText(served.client_secret),
        }

    def push(self, mailbox: Mailbox, document: Document) -> Push | None:
        """Of an order, which is what an invoice is there; of nothing that it does not hold."""
        if not self.holds(document):
            return None
        event = {
            "UpdatedEntityID": FIRST_INBOX_ITEM + document.index,
            "UpdatedEntityType": "Order",
            "WebhookUpdateTypeTC": "I",
            "EntityDetail": {},
        }
        body, at = msgspec.json.encode(event), str(int(time.time()))
        digest = hmac.digest(push_secret(mailbox).encode(), f"{at}.".encode() + body, "sha256")
        return Push(body, {"Billit-Signature": f"t={at},s={digest.hex()}", **JSON})

    def target(self, request: web.Request) -> Target:
        """By the method and the path."""
        if request.method == "POST":
            return "acknowledgement" if request.path.endswith("/confirm") else "any"
        parts = request.path.strip("/").split("/")
        return "document" if parts[1] == "files" or len(parts) == 5 else "list"

    def document_id(self, request: web.Request) -> str:
        """The mailbox's own id of the item whose number stands in the path."""
        first = FIRST_FEED_ITEM if "/feeds/" in request.path else FIRST_INBOX_ITEM
        document = self._account.find(request.path.split("/")[-2], first)
        return document.id if document is not None else ""

    def previous_page(self, request: web.Request) -> web.Request:
        """The same: there are no pages."""
        return request

    def with_odd_item(self, page: bytes) -> bytes:
        """The item's number is a lone surrogate, which no JSON reader accepts."""
        odd = b'{"InboxItemID":"\\ud800","FeedItemID":"\\ud800"},'
        return page.replace(b"[{", b"[" + odd + b"{", 1)


def api_key(seed: int) -> str:
    """The API key of a sandbox: the same for the same seed."""
    return blake2b(f"api key {seed}".encode(), digest_size=20).hexdigest()
