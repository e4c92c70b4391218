"""XML reader, hardened: no DTD, no entities, no network, and limits of size and of elements.

The root element tells the vocabulary; each vocabulary is a module of its own in VOCABULARIES.
Memory is bounded: attachments are stripped before parsing, and the lines of long documents are
dropped while they are parsed.
"""

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
from stages.formats.xml_strip import MAX_SIZE, strip

_START = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<[?!A-Za-z_]")
#: The same in UTF-16 and UTF-32, with or without a byte-order mark (XML 1.0, appendix F).
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<", b"\0\0\0<", b"\0\0\xfe\xff")

#: The vocabularies, in the order in which they are asked: each reads a tree of its own, and returns
#: None for others.
VOCABULARIES = (ubl.read, cii.read, camt.read, vocabularies.read)

#: Bytes of XML above which its lines are dropped while it is parsed.
LONG = 256 * 1024
#: The elements that may be many and name no party: lines of invoices, entries of statements.
LINES = (*ubl.LINES, "{*}IncludedSupplyChainTradeLineItem", "{*}Ntry")
#: Tags and attributes in a tree beside those lines; each takes some hundred bytes of memory.
MAX_NODES = 400_000
_COUNT_NODES = etree.XPath(
    "count(descendant-or-self::*) + count(descendant-or-self::*[node()])"
    "+ count(descendant-or-self::*/@*)"
)
#: Beginnings of tags, and quotes of attributes.
MARKS = b"<\"'"
#: Such marks in a document that is read within a few milliseconds; below SHORT bytes they are not
#: counted, because it has too few anyway.
QUICK = 16_000
SHORT = 64 * 1024
#: Bytes of a document without its attachments.
MAX_STRIPPED = 24 * 1024 * 1024

#: The name of the first element, found without parsing.
_ROOT = re.compile(rb"<([A-Za-z_][^\s<>/]*)")
_NOBODY = Party("", ())
_FIRST_LINES = (b"InvoiceLine>", b"CreditNoteLine>")


def recognises(head: bytes) -> bool:
    """Whether the document starts as markup does, in any encoding."""
    return _START.match(head) is not None or head.startswith(_WIDE)


def read(payload: Payload) -> Content:
    """Return what the document says, if its vocabulary is known.

    It is parsed only as far as parties and total need: `problems` checks the rest. Unreadable if
    that part is not well-formed; Hostile if it has a document type, or costs more than any invoice.
    """
    _check_size(payload.size)
    return _content(_joined(strip(payload)))


def content_of(data: bytes) -> Content:
    """Return what an XML document in memory says, such as the one inside a PDF; as `read`."""
    return read(Payload(len(data), sha256="", data=data))


def problems(payload: Payload) -> list[str]:
    """Return []; Unreadable if the document is not well-formed, which shows that it is not whole.

    All of it is parsed, in bounded memory. Hostile as for `read`.
    """
    _check_size(payload.size)
    _check_well_formed(strip(payload))
    return []


def is_quick(data: bytes) -> bool:
    """Whether the document has few elements and attributes; attachments don't count."""
    if len(data) <= SHORT:
        return True
    return len(data) - len(data.translate(None, MARKS)) <= QUICK


class _NullTarget:
    """Parser target that keeps nothing, and refuses a document type."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise Hostile("the XML brings a document type of its own, which no invoice does")

    def close(self) -> None: ...


def _check_size(size: int) -> None:
    # UTF-16 takes two bytes for most characters; `strip` counts again what they are in UTF-8.
    if size > 2 * MAX_SIZE:
        raise Hostile(f"the XML has {size:,} bytes, and no invoice needs {MAX_SIZE:,}")


def _check_well_formed(blocks: Iterable[bytes]) -> None:
    """Parse a document without keeping it. Unreadable if it is not well-formed, or Hostile."""
    parser = etree.XMLParser(
        target=_NullTarget(),  # type: ignore[arg-type] # any of the methods may be left out
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        for block in blocks:
            parser.feed(block)
        parser.close()
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None


def _joined(blocks: Iterable[bytes]) -> bytes:
    """Join the blocks of a stripped document. Hostile if they are too large for that."""
    kept, size = [], 0
    for block in blocks:
        kept.append(block)
        size += len(block)
        if size > MAX_STRIPPED:
            raise Hostile(f"the XML has more than {MAX_STRIPPED:,} bytes beside its attachments")
    return b"".join(kept)


def _content(data: bytes) -> Content:
    content = _before_lines(data)
    if content is not None:
        return content
    if b"<!DOCTYPE" in data:  # it is refused, unless it only stands in a comment
        _check_well_formed([data])
    return _content_of(_tree(data) if len(data) <= LONG else _tree_without_lines(data))


def _before_lines(data: bytes) -> Content | None:
    """Return what a UBL invoice says before its first line: a shortcut, for most invoices.

    The schema puts all that is read before the lines. So the data are cut at the first line and the
    root is closed there. The result is well-formed only if no other element is open at the cut, and
    then a parser of the whole finds the same elements up to there. None if that does not give an
    invoice with both parties and a total, or if there may be a document type.
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
    if len(data) > MAX_NODES:
        _check_nodes(_nodes(data))
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,  # indentation would be half of the nodes
        huge_tree=False,
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None


def _tree_without_lines(data: bytes) -> etree._Element:
    """Parse a long document, and drop each line of it as soon as it has been read."""
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
                kept -= _nodes_of(line)
                _drop(line)
            _check_nodes(kept)
        return parser.close()
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None


def _nodes(data: bytes) -> float:
    """Count the nodes in a piece of XML: opening and closing tags, and attributes."""
    return data.count(b"<") + (data.count(b'"') + data.count(b"'")) / 2


def _nodes_of(line: etree._Element) -> float:
    """Count the nodes of a line, as _nodes() counts them."""
    count = _COUNT_NODES(line)
    assert isinstance(count, float)
    return count


def _check_nodes(count: float) -> None:
    if count > MAX_NODES:
        raise Hostile("the XML has more elements and attributes than any invoice needs")


def _drop(line: etree._Element) -> None:
    """Empty a line, and remove the one before it from the tree."""
    line.clear()
    parent, before = line.getparent(), line.getprevious()
    # The parser still needs this element itself.
    if parent is not None and before is not None and before.tag == line.tag:
        parent.remove(before)


def _malformed(error: etree.XMLSyntaxError) -> Unreadable:
    if "depth" in (error.msg or ""):
        return Hostile("the XML has more elements inside one another than any invoice")
    return Unreadable(f"the XML is not well-formed ({error.msg})")
