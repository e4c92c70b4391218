"""Web page detector: tells a web page from what a server only calls one.

A proxy, or a platform under maintenance, answers with a page in place of a document or a list. But
some programs send everything as text/html, which is their default.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from pipeline.errors import WebPage

#: Bytes of an answer by which it is told.
HEAD = 512

#: How documents and lists begin, after marks and blanks: PDF, ZIP, gzip, JSON, SWIFT, CODA, XML.
_DOCUMENT = re.compile(
    rb"(?:\xef\xbb\xbf|[\0\s])*+(?:%PDF-|PK\x03\x04|\x1f\x8b|[{\[]|:20:|0{5}|<\?xml\s|<[^>]*\sxmlns)"
)
_PAGE = re.compile(rb"<(?:!doctype\s+html|html)\b", re.IGNORECASE)


def is_web_page(head: bytes) -> bool:
    """Whether an answer that is called a web page, and begins with these bytes, may be one."""
    return _DOCUMENT.match(head) is None or _PAGE.search(head) is not None


async def no_web_page(pieces: AsyncGenerator[bytes, None], subject: str) -> AsyncIterator[bytes]:
    """Yield an answer that is called a web page. WebPage if it is one."""
    head = b""
    is_told = False
    async with aclosing(pieces):
        async for piece in pieces:
            if is_told:
                yield piece
                continue
            head += piece
            if len(head) >= HEAD:
                _check(head, subject)
                is_told = True
                yield head
    if not is_told:
        _check(head, subject)
        yield head


def _check(head: bytes, subject: str) -> None:
    if is_web_page(head[:HEAD]):
        raise WebPage(subject)
