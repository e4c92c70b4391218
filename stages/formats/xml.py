"""XML, hardened: no DTD, no entities, no network; which vocabulary it is, its root tells."""

from __future__ import annotations

import re
from contextlib import suppress

from lxml import etree

from pipeline.payload import Payload
from stages.formats import ubl
from stages.formats.content import INVOICES, Content, Hostile, Invoice, Other, Unreadable

_START = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<[?!A-Za-z_]")
#: The same in UTF-16 and UTF-32, with or without a byte-order mark (XML 1.0, appendix F).
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<", b"\0\0\0<", b"\0\0\xfe\xff")

#: Bytes that a parser is fed at a time.
CHUNK = 65_536
#: Elements inside one another: what libxml2 allows in a tree.
DEPTH = 256
#: Tags that are worth a tree, which takes some hundred bytes for each.
TAGS = 400_000

#: What there may be much of and says nothing of the parties, in UBL and in CII.
ATTACHMENT = b"BinaryObject"
LINES = (b"InvoiceLine", b"CreditNoteLine", b"IncludedSupplyChainTradeLineItem")

#: The vocabularies: each reads a tree that is of it, and gives None for another.
VOCABULARIES = (ubl.read,)


def recognises(head: bytes) -> bool:
    """Whether it starts as markup does, in any encoding."""
    return _START.match(head) is not None or head.startswith(_WIDE)


def read(payload: Payload) -> Content:
    """What the document says, if its vocabulary is one that we know.

    Attachments and lines are cut out before it is parsed, which takes the time that they would.
    Where that leaves no XML, or a party without a word, more of it is parsed.
    """
    return content_of(payload.read())


def content_of(data: bytes) -> Content:
    """What an XML document says that lies in memory, such as the one inside a PDF."""
    whole = data
    light = _without_attachments(whole)
    for part in (_without_lines(light), light):
        with suppress(Unreadable):
            content = _content(part)
            if part is light or _names_both_parties(content):
                return content
    return _content(whole)


def oddities(payload: Payload) -> list[str]:
    """None that lets it be read: XML proves that it is whole by being well-formed.

    Memory stays flat. Unreadable if it is not well-formed; Hostile if it brings a document type,
    or elements that lie too deep.
    """
    # So few bytes can't go deep enough to matter, and counting would cost more than parsing.
    target = _Nothing() if payload.size <= CHUNK else _Depth()
    parser = etree.XMLParser(
        target=target,  # type: ignore[arg-type] # any of the methods may be left out
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        with payload.open() as stream:
            while chunk := stream.read(CHUNK):
                parser.feed(chunk)
        parser.close()
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None
    return []


class _Nothing:
    """A parser's target that keeps nothing."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise Hostile("the XML brings a document type of its own, which no invoice does")

    def close(self) -> None: ...


class _Depth(_Nothing):
    """A parser's target that keeps nothing but how deep it is."""

    def __init__(self) -> None:
        self._depth = 0

    def start(self, name: str, attributes: object) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise Hostile(f"the XML has more than {DEPTH} elements inside one another")

    def end(self, name: str) -> None:
        self._depth -= 1


def _content(data: bytes) -> Content:
    root = _tree(data)
    for read_ in VOCABULARIES:
        if (content := read_(root)) is not None:
            return content
    name = etree.QName(root).localname
    return Other("xml", f"an XML document of another kind ({name})", "xml", may_be=INVOICES)


def _tree(data: bytes) -> etree._Element:
    if data.count(b"<") > TAGS:
        raise Unreadable("the XML has more elements than any invoice needs")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None


def _without_attachments(data: bytes) -> bytes:
    """The document with its attachments empty; the same object if it has none.

    Only text is cut, from the end of a tag to the beginning of the next.
    """
    kept, done, at = [], 0, data.find(ATTACHMENT)
    while at >= 0:
        opened = data.find(b">", at) + 1
        closed = data.find(b"<", opened)
        if not opened or closed < 0:
            break
        kept.append(data[done:opened])
        done, at = closed, data.find(ATTACHMENT, closed)
    return b"".join((*kept, data[done:])) if kept else data


def _without_lines(data: bytes) -> bytes:
    """The document without what stands from its first line to its last; or the same object."""
    for name in LINES:
        if (at := data.find(name)) < 0:
            continue
        start = data.rfind(b"<", 0, at)
        closing = b"</" + data[start + 1 : at] + name + b">"
        end = data.rfind(closing, at)
        if start >= 0 and end >= 0:
            return data[:start] + data[end + len(closing) :]
    return data


def _names_both_parties(content: Content) -> bool:
    return (
        isinstance(content, Invoice)
        and bool(content.supplier.identifiers)
        and bool(content.customer.identifiers)
    )


def _malformed(error: etree.XMLSyntaxError) -> Unreadable:
    return Unreadable(f"the XML is not well-formed ({error.msg})")
