"""Document of an inbox: a request for one, and what is read of its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.errors import Corrupt, Rejected, RetryableError, SourceError, WebPage
from pipeline.source import Announced, Incoming
from stages.sources.http.headers import HTML, announced, media_type
from stages.sources.http.inbox.account import Account
from stages.sources.http.json_content import JsonContent

#: Accept-Encoding of documents: checksums are of the bytes as sent, so these must not be coded.
NO_CODING = {"Accept-Encoding": "identity"}
#: Statuses that mean that a document is not available in the requested form, as the same request
#: for another form has just succeeded.
FORM_UNAVAILABLE = (400, 404, 405, 406, 410, 415, 422, 501)


@asynccontextmanager
async def as_bytes(
    account: Account, path: str, label: str, accept: str, *, form: str = ""
) -> AsyncIterator[Incoming]:
    """GET a document that is the answer itself. form: which other form of it is asked for.

    Rejected if there is no such form. WebPage where a page for people comes in its place.
    """
    headers = {"Accept": accept, **NO_CODING}
    accepted = FORM_UNAVAILABLE if form else ()
    async with account.request("GET", path, label, headers=headers, accepted=accepted) as answer:
        if answer.status in accepted:
            raise Rejected(label, f"the platform does not have it as {form}")
        if media_type(answer) == HTML:
            raise WebPage(label)
        yield Incoming(announced(answer), account.http.body(answer, label))


@asynccontextmanager
async def as_base64(
    account: Account, path: str, label: str, member: str
) -> AsyncIterator[Incoming]:
    """GET a document that is base64 in a member of a JSON object."""
    async with account.request("GET", path, label) as answer:
        content = JsonContent(account.http.body(answer, label), member, label)
        yield Incoming(Announced(), whole(content.pieces(), label))


async def whole(pieces: AsyncIterator[bytes], label: str) -> AsyncIterator[bytes]:
    """The same pieces. Corrupt where the answer is whole, and bad: that concerns it alone."""
    try:
        async for piece in pieces:
            yield piece
    except (SourceError, RetryableError) as error:
        # The transfer has errors of its own, which are of other classes.
        if type(error) not in (SourceError, RetryableError):
            raise
        raise Corrupt(
            label, error.reason, "Look at the platform whether the document is whole there"
        ) from None
