"""Document of an inbox: a request for one, and what is read of its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from pipeline.errors import Corrupt, Rejected, RetryableError, SourceError, WebPage
from pipeline.source import Announced, Incoming
from stages.sources.http.headers import HTML, NO_CODING, announced, media_type
from stages.sources.http.inbox.account import ApiAccount
from stages.sources.http.json_content import Base64Decoder, JsonContent

#: Statuses that mean that a document is not available in the requested form, as the same request
#: for another form has just succeeded.
FORM_UNAVAILABLE = (400, 404, 405, 406, 410, 415, 422, 501)


@asynccontextmanager
async def as_bytes(
    account: ApiAccount,
    path: str,
    label: str,
    accept: str,
    *,
    form: str = "",
    query: Mapping[str, str] | None = None,
) -> AsyncIterator[Incoming]:
    """GET a document that is the answer itself. form: which other form of it is asked for.

    Rejected if there is no such form. WebPage where a page for people comes in its place.
    """
    headers = {"Accept": accept, "Accept-Encoding": NO_CODING}
    accepted = FORM_UNAVAILABLE if form else ()
    request = account.request("GET", path, label, query=query, headers=headers, accepted=accepted)
    async with request as answer:
        if answer.status in accepted:
            raise Rejected(label, f"the platform does not have it as {form}")
        check_page(answer, label)
        yield Incoming(announced(answer), account.http.body(answer, label))


@asynccontextmanager
async def as_base64(
    account: ApiAccount,
    path: str,
    label: str,
    member: str,
    *,
    form: str = "",
    query: Mapping[str, str] | None = None,
) -> AsyncIterator[Incoming]:
    """GET a document that is base64 in a member of a JSON object; "": in an answer that is a text.

    form: as as_bytes().
    """
    accepted = FORM_UNAVAILABLE if form else ()
    async with account.request("GET", path, label, query=query, accepted=accepted) as answer:
        if answer.status in accepted:
            raise Rejected(label, f"the platform does not have it as {form}")
        check_page(answer, label)
        chunks = account.http.body(answer, label)
        pieces = JsonContent(chunks, member, label).pieces() if member else _text(chunks, label)
        yield Incoming(Announced(), whole(pieces, label))


def check_page(answer: aiohttp.ClientResponse, label: str) -> None:
    """Raise WebPage where a page for people comes in place of a document."""
    if media_type(answer) == HTML:
        raise WebPage(label)


async def _text(chunks: AsyncIterator[bytes], label: str) -> AsyncIterator[bytes]:
    """The bytes of base64 in an answer that is one JSON text."""
    decoder = Base64Decoder()
    begun = ended = False
    try:
        async for chunk in chunks:
            rest = chunk if begun else chunk.lstrip()
            if not rest or ended:
                continue
            if not begun:
                begun = True
                if rest[:1] != b'"':
                    raise SourceError(label, "the answer is no text of JSON")
                rest = rest[1:]
            text, quote, _ = rest.partition(b'"')
            ended = bool(quote)
            if piece := decoder.decode(text):
                yield piece
        if not ended:
            raise RetryableError(label, "the answer holds no whole document")
        if piece := decoder.finish():
            yield piece
    except ValueError:
        raise SourceError(label, "the answer holds a document that is no base64") from None


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
