"""Document opener of rendering: the invoices in an XML, at bounded cost, whatever envelope it has.

The same limits as for classification hold, and lower ones for size: what is read here is kept
whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from pipeline.payload import Payload
from stages.formats import cii, ubl
from stages.formats.content import BROKEN, Unreadable
from stages.formats.elements import tree_parser
from stages.formats.envelopes import document_in, envelope_of
from stages.formats.xml_strip import strip
from stages.rendering.model import Group
from stages.rendering.reader import read

#: Bytes of an invoice beside its attachments; a thousand lines have some two million.
MAX_SIZE = 16_000_000
#: Beginnings of tags and quotes of attributes; a node of the tree takes some hundred bytes.
MAX_MARKS = 1_600_000
#: Invoices in one file, and envelopes in one another.
MAX_INVOICES = 16
MAX_DEPTH = 4
_AFTER = b"\0\x1a"


def invoices_in(payload: Payload) -> list[Group]:
    """Return the invoices of an XML in their order, at least one.

    Unreadable if there is none, if it is not well-formed, or if it would cost too much.
    """
    try:
        found = list(_invoices(_tree(_joined(payload)), payload, 0))
    except BROKEN as error:
        raise Unreadable(f"it can't be read ({type(error).__name__})") from error
    if not found:
        raise Unreadable("it holds no invoice that can be shown")
    return found


def _joined(payload: Payload) -> bytes:
    kept, size = [], 0
    for block in strip(payload):
        kept.append(block)
        size += len(block)
        if size > MAX_SIZE:
            raise Unreadable(f"it has more than {MAX_SIZE:,} bytes beside its attachments")
    data = b"".join(kept).rstrip(_AFTER)
    if len(data) > MAX_MARKS and sum(data.count(mark) for mark in (b"<", b'"', b"'")) > MAX_MARKS:
        raise Unreadable("it has more elements and attributes than can be shown")
    return data


def _tree(data: bytes) -> etree._Element:
    parser = tree_parser(remove_blank_text=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"the XML is not well-formed ({error.msg})") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("the XML brings a document type of its own")
    return root


def _invoices(root: etree._Element, payload: Payload, depth: int) -> Iterator[Group]:
    """Yield the invoices in a tree. payload: the whole document; depth: of envelopes around it."""
    if (table := _table_of(root)) is not None:
        yield read(root, table)
        return
    if depth > MAX_DEPTH:
        raise Unreadable(f"it lies in more than {MAX_DEPTH} envelopes")
    envelope = envelope_of(root, payload)
    if envelope is None:
        return
    inside = [*envelope.elements]
    for text in envelope.texts:
        data = document_in(text)
        if data is not None:
            inside.append(_tree(_joined(Payload(len(data), "", data))))
    for one in inside[:MAX_INVOICES]:
        yield from _invoices(one, payload, depth + 1)


def _table_of(root: etree._Element) -> str | None:
    if root.tag in ubl.ROOTS:
        return "ubl"
    namespace = etree.QName(root).namespace or ""
    return "cii" if namespace.startswith((cii.D16B, cii.ZUGFERD_1)) else None
