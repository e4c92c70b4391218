"""XML, hardened: no DTD, no entities, no network; which vocabulary it is, its root tells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import BytesIO

from lxml import etree

from pipeline.payload import Payload
from pipeline.text import NAME, sanitized
from stages.formats import camt, cii, ubl, vocabularies
from stages.formats.content import INVOICE_KINDS, Content, Hostile, Invoice, Other, Unreadable
from stages.formats.party import Party
from stages.formats.xml_strip import LARGEST, strip

_START = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<[?!A-Za-z_]")
#: The same in UTF-16 and UTF-32, with or without a byte-order mark (XML 1.0, appendix F).
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<", b"\0\0\0<", b"\0\0\xfe\xff")

#: The vocabularies: each reads a tree that is of it, and gives None for another.
VOCABULARIES = (ubl.read, cii.read, camt.read, vocabularies.read)

#: Bytes of XML from which on the lines are not kept in memory.
LONG = 256 * 1024
#: What there may be many of and says nothing of the parties: lines of invoices and entries.
LINES = (*ubl.LINES, "{*}IncludedSupplyChainTradeLineItem", "{*}Ntry")
#: Tags and attributes beside them that are worth a tree, which takes some hundred bytes for each.
NODES = 400_000
_NODES = etree.XPath(
    "count(descendant-or-self::*) + count(descendant-or-self::*[node()])"
    "+ count(descendant-or-self::*/@*)"
)
#: Tags and quotes of a document that is read within a few milliseconds, and bytes in which they are
#: not worth counting.
MARKS = b"<\"'"
QUICK = 16_000
SHORT = 64 * 1024
#: Bytes of a document without its attachments that are worth a tree.
TEXT = 24 * 1024 * 1024

#: The name of the first element, as far as that can be told without parsing.
_ROOT = re.compile(rb"<([A-Za-z_][^\s<>/]*)")
_NOBODY = Party("", ())
_FIRST_LINES = (b"InvoiceLine>", b"CreditNoteLine>")


def recognises(head: bytes) -> bool:
    """Whether it starts as markup does, in any encoding."""
    return _START.match(head) is not None or head.startswith(_WIDE)


def read(payload: Payload) -> Content:
    """What the document says, if its vocabulary is one that we know.

    It is parsed as far as the parties and totals need. Unreadable if that is not well-formed;
    Hostile if it brings a document type, or costs more than any invoice may.
    """
    _check_size(payload.size)
    return _content(_joined(strip(payload)))


def content_of(data: bytes) -> Content:
    """What an XML document says that lies in memory, such as the one inside a PDF; as `read`."""
    return read(Payload(len(data), sha256="", data=data))


def problems(payload: Payload) -> list[str]:
    """None that lets it be read: XML proves that it is whole by being well-formed.

    All of it is parsed, in flat memory. Unreadable and Hostile as for `read`.
    """
    _check_size(payload.size)
    _parse_away(strip(payload))
    return []


def is_quick(data: bytes) -> bool:
    """Whether it has few elements and attributes, whatever is attached to it."""
    if len(data) <= SHORT:
        return True
    return len(data) - len(data.translate(None, MARKS)) <= QUICK


class _Nothing:
    """A parser's target that keeps nothing."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise Hostile("the XML brings a document type of its own, which no invoice does")

    def close(self) -> None: ...


def _check_size(size: int) -> None:
    # In UTF-16 every character is two bytes; there, what they are in UTF-8 is counted again.
    if size > 2 * LARGEST:
        raise Hostile(f"the XML has {size:,} bytes, and no invoice needs {LARGEST:,}")


def _parse_away(pieces: Iterable[bytes]) -> None:
    parser = etree.XMLParser(
        target=_Nothing(),  # type: ignore[arg-type] # any of the methods may be left out
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        for piece in pieces:
            parser.feed(piece)
        parser.close()
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None


def _joined(pieces: Iterable[bytes]) -> bytes:
    kept, size = [], 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > TEXT:
            raise Hostile(f"the XML has more than {TEXT:,} bytes beside its attachments")
    return b"".join(kept)


def _content(data: bytes) -> Content:
    content = _before_lines(data)
    if content is not None:
        return content
    if b"<!DOCTYPE" in data:  # in a comment it would do no harm
        _parse_away([data])
    return _content_of(_tree(data) if len(data) <= LONG else _tree_without_lines(data))


def _before_lines(data: bytes) -> Content | None:
    """What a UBL invoice says before its first line, where schemas put all that is read of it.

    The root is closed there. That gives XML only where nothing but the root is open, and then a
    parser of the whole has found the same elements up to there. None if it does not give an
    invoice with both parties and a total, or may bring a document type.
    """
    for name in _FIRST_LINES:
        if (at := data.find(name)) >= 0:
            break
    else:
        return None
    head = data[: data.rfind(b"<", 0, at)]
    root = _ROOT.search(head)
    if root is None or b"<!DOCTYPE" in head:
        return None
    try:
        tree = _tree(b"%b</%b>" % (head, root[1]))
    except Unreadable:
        return None
    content = ubl.read(tree)
    if not isinstance(content, Invoice) or not content.total:
        return None
    return None if _NOBODY in (content.supplier, content.customer) else content


def _content_of(root: etree._Element) -> Content:
    for read_ in VOCABULARIES:
        if (content := read_(root)) is not None:
            return content
    if (inner := vocabularies.enclosed(root)) is not None:
        return _content_of(inner)
    name = sanitized(etree.QName(root).localname, NAME)
    return Other(
        "xml", f"an XML document of another kind ({name})", "xml", possible_kinds=INVOICE_KINDS
    )


def _tree(data: bytes) -> etree._Element:
    if len(data) > NODES:
        _check_nodes(_nodes(data))
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,  # indentation is half of the nodes
        huge_tree=False,
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None


def _tree_without_lines(data: bytes) -> etree._Element:
    """The tree of a long document, in which each line is emptied as soon as it has been read."""
    parser = etree.XMLPullParser(
        events=("end",),
        tag=LINES,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )
    kept = 0.0
    stream = BytesIO(data)
    try:
        while chunk := stream.read(LONG):
            kept += _nodes(chunk)
            parser.feed(chunk)
            for _, line in parser.read_events():
                assert etree.iselement(line)
                kept -= _size(line)
                _drop(line)
            _check_nodes(kept)
        return parser.close()
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None


def _nodes(data: bytes) -> float:
    """How many there are: tags at either end of elements, and attributes."""
    return data.count(b"<") + (data.count(b'"') + data.count(b"'")) / 2


def _size(line: etree._Element) -> float:
    count = _NODES(line)
    assert isinstance(count, float)
    return count


def _check_nodes(count: float) -> None:
    if count > NODES:
        raise Hostile("the XML has more elements and attributes than any invoice needs")


def _drop(line: etree._Element) -> None:
    line.clear()
    parent, before = line.getparent(), line.getprevious()
    # The parser still stands at this one, so what goes is the one before it.
    if parent is not None and before is not None and before.tag == line.tag:
        parent.remove(before)


def _malformed(error: etree.XMLSyntaxError) -> Unreadable:
    if "depth" in (error.msg or ""):
        return Hostile("the XML has more elements inside one another than any invoice")
    return Unreadable(f"the XML is not well-formed ({error.msg})")
