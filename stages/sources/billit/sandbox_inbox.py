"""Billit's Peppol inbox in the sandbox: ten documents at most, the oldest first."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from stages.sandbox.corpus import Document
from stages.sandbox.state_index import State
from stages.sources.billit.inbox import WINDOW
from stages.sources.billit.sandbox_account import Account, answer
from stages.sources.billit.sandbox_documents import INBOX_KINDS, document_type, parties, sent

#: The number of the first item.
FIRST_ITEM = 70_000
#: When the first document arrived; each came some seconds after the one before.
FIRST_DAY = datetime(2026, 3, 2, 9, 30, 32)  # noqa: DTZ001 - it states no zone


class InboxRoutes:
    """What is answered below peppol/inbox, and for files."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> Sequence[web.RouteDef]:
        """The list, a file, and a confirmation."""
        return [
            web.get("/peppol/inbox", self._list),
            web.post("/peppol/inbox/{item}/confirm", self._confirm),
            web.get("/files/{file}", self._file),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        account, options = self._account, self._account.options
        wanted: Collection[str] = [account.party(request)]
        receiver = request.query.get("ReceiverCompanyID")
        companies = account.mailbox.companies
        of_receiver = [one.platform_id for one in companies if one.identifier == receiver]
        if options.account:
            wanted = [one.platform_id for one in companies]
            if receiver is not None and options.narrowed:
                wanted = of_receiver
        items = account.mailbox.oldest(
            State.PENDING, WINDOW, platform_ids=wanted, kinds=INBOX_KINDS
        )
        if receiver is not None:
            items = [one for one in items if one.company.platform_id in of_receiver]
        return answer({"InboxItems": [_item(one) for one in items]})

    async def _file(self, request: web.Request) -> web.Response:
        document = self._account.mailbox.find(request.match_info["file"])
        if document is None or document.kind not in INBOX_KINDS:
            raise web.HTTPNotFound(text="File not found")
        self._check(request, document)
        return answer(
            {
                "FileID": document.id,
                "FileName": f"{document.id}.xml",
                "MimeType": "text/xml",
                "FileContent": b64encode(sent(document, self._account.options.attachment)).decode(),
            }
        )

    async def _confirm(self, request: web.Request) -> web.Response:
        document = self._account.item(request, FIRST_ITEM)
        self._check(request, document)
        return self._account.confirm(document)

    def _check(self, request: web.Request, document: Document) -> None:
        """Refuse what is about a document of another company than that of the request."""
        party, own = self._account.party(request), document.company.platform_id
        self._account.check_right(own)
        if party != own and not self._account.options.account:
            raise web.HTTPNotFound(text="The item does not exist for this party")


def _item(document: Document) -> Mapping[str, Any]:
    sender, receiver = parties(document)
    arrived = FIRST_DAY + timedelta(seconds=17 * document.index)
    return {
        "InboxItemID": FIRST_ITEM + document.index,
        "SenderPeppolID": f"0208:{sender.number}",
        "SenderCompanyID": sender.identifier,
        "ReceiverPeppolID": f"0208:{receiver.number}",
        "ReceiverCompanyID": receiver.identifier,
        "PeppolDocumentType": document_type(document),
        "CreationDate": f"{arrived.isoformat()}.4418207",
        "PeppolFileID": document.id,
    }
