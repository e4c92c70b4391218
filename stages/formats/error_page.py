"""What a server sends in place of a document when something is wrong: a web page, or JSON."""

from __future__ import annotations

import re

from pipeline.payload import Payload
from stages.formats.content import Content, Other

#: How a page starts (HTML, 13.1.1), in XHTML after the XML declaration; and how JSON does.
_PAGE = re.compile(
    # Nothing is gone back over: documents with much in front of their root would cost a lot.
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--(?>.*?-->)\s*+)*+"
    rb"<(?:!doctype\s+html|html)\b",
    re.IGNORECASE | re.DOTALL,
)
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*[{\]])")

#: Where either says why: a page in its title, JSON in its message.
_WHY = re.compile(
    rb"<title[^>]*>(.*?)</title>|\"(?:error_description|message)\"\s*:\s*\"(.*?)\"",
    re.IGNORECASE | re.DOTALL,
)
#: Characters of that which are worth quoting.
QUOTED = 100


def recognises(head: bytes) -> bool:
    """Whether it starts as a page or as JSON does."""
    return _PAGE.match(head) is not None or _JSON.match(head) is not None


def read(payload: Payload) -> Content:
    """No document of ours."""
    if _is_page(payload):
        return Other("html", "a web page")
    return Other("json", "a JSON message")


def problems(payload: Payload) -> list[str]:
    """Always odd: it came where a document was asked for."""
    what = "a web page" if _is_page(payload) else "a JSON message"
    why = _WHY.search(payload.head(4096))
    words = (why[1] or why[2]).decode("utf-8", "replace").split() if why else []
    said = f' ("{" ".join(words)[:QUOTED]}")' if words else ""
    return [f"{what} came in place of the document{said}"]


def is_quick(data: bytes) -> bool:
    """It is: only its first bytes are read."""
    return True


def _is_page(payload: Payload) -> bool:
    return _PAGE.match(payload.head(4096)) is not None
