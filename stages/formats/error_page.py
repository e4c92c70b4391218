"""Error page reader: web pages and JSON messages that a server sends instead of a document."""

from __future__ import annotations

import re

from pipeline.payload import Payload
from stages.formats.content import Content, Other, Reading

#: How a web page starts (HTML, 13.1.1), in XHTML after the XML declaration; how JSON starts.
_PAGE = re.compile(
    # Possessive and atomic: backtracking over all that stands before a root would take long.
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--(?>.*?-->)\s*+)*+"
    rb"<(?:!doctype\s+html|html)\b",
    re.IGNORECASE | re.DOTALL,
)
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*[{\]])")

#: Where the reason stands: the title of a page, the message of JSON.
_WHY = re.compile(
    rb"<title[^>]*>(.*?)</title>|\"(?:error_description|message)\"\s*:\s*\"(.*?)\"",
    re.IGNORECASE | re.DOTALL,
)
#: Characters of the reason that are quoted.
MAX_QUOTE = 100


def recognises(head: bytes) -> bool:
    """Whether the document starts as a web page or as JSON does."""
    return _PAGE.match(head) is not None or _JSON.match(head) is not None


def read(payload: Payload) -> Reading:
    """Return what it is, and what is wrong with it."""
    return Reading(_content(payload), tuple(_problems(payload)))


def _content(payload: Payload) -> Content:
    """Return that it is a web page or a JSON message."""
    if _is_page(payload):
        return Other("html", "a web page")
    return Other("json", "a JSON message")


def _problems(payload: Payload) -> list[str]:
    """Always return one problem, with the reason that the server gives: this is no document."""
    what = "a web page" if _is_page(payload) else "a JSON message"
    why = _WHY.search(payload.head(4096))
    words = (why[1] or why[2]).decode("utf-8", "replace").split() if why else []
    quote = f' ("{" ".join(words)[:MAX_QUOTE]}")' if words else ""
    return [f"{what} came in place of the document{quote}"]


def is_quick(data: bytes) -> bool:
    """Return True: only the first bytes are read."""
    return True


def _is_page(payload: Payload) -> bool:
    return _PAGE.match(payload.head(4096)) is not None
