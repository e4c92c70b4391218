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
from msgspec import structs

from pipeline.payload import Payload
from pipeline.text import NAME, sanitized
from stages.formats import application_response, camt, cii, ubl, vocabularies
from stages.formats.bundles import combined
from stages.formats.content import (
    INVOICE_KINDS,
    Content,
    Hostile,
    Invoice,
    Other,
    Reading,
    Unreadable,
)
from stages.formats.elements import tree_parser
from stages.formats.envelopes import (
    Envelope,
    document_in,
    envelope_of,
    envelope_of_messages,
)
from stages.formats.invoice_lines import LineDigest
from stages.formats.party import Party
from stages.formats.xml_strip import MAX_SIZE, strip

_AFTER = b"\0\x1a"
_START = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<[?!A-Za-z_]")

#: The vocabularies, in the order in which they are asked: each reads a tree of its own, and returns
#: None for others. An invoice takes the digest of the lines that were dropped, and adds the rest.
VOCABULARIES = (application_response.read, ubl.read, cii.read, camt.read, vocabularies.read)

#: Envelopes in one another.
MAX_DEPTH = 4
#: Bytes of XML above which its lines are dropped while it is parsed.
LONG = 256 * 1024
#: The elements that may be many and name no party: lines of invoices, entries of statements.
LINE_PATHS = ubl.LINES | cii.LINES
LINES = (*LINE_PATHS, "{*}Ntry")
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
_FIRST_LINES = (b"InvoiceLine>", b"CreditNoteLine>", b"DebitNoteLine>")


def recognises(head: bytes) -> bool:
    """Whether the document starts as markup does."""
    return _START.match(head) is not None


def read(payload: Payload) -> Reading:
    """Return what the document says, if its vocabulary is known, and whether it is well-formed.

    It is parsed once, as a whole. Of a document that is not well-formed the content is None, unless
    all that is needed stands before the place where it is broken. Hostile if it has a document
    type, or costs more than any invoice; Unreadable if a text in it is longer than any.
    """
    return _read(payload, 0)


def _read(payload: Payload, depth: int) -> Reading:
    """Read a document that lies in so many envelopes."""
    # UTF-16 takes two bytes for most characters; `strip` counts again what they are in UTF-8.
    if payload.size > 2 * MAX_SIZE:
        raise Hostile(f"the XML has {payload.size:,} bytes, and no invoice needs {MAX_SIZE:,}")
    lines = LineDigest()
    data = b""
    try:
        data = _joined(strip(payload))
        root = _parsed(data, lines)
    except Hostile:
        raise
    except Unreadable as error:
        return Reading(_before_lines(data), (str(error),))
    return Reading(_content_of(root, lines, payload, depth))


def content_of(data: bytes, depth: int = 0) -> Content:
    """Return what an XML document in memory says, such as the one inside a PDF.

    depth: in how many envelopes it lies. Unreadable if it is not well-formed; Hostile as by read().
    """
    reading = _read(Payload(len(data), sha256="", data=data), depth)
    if reading.content is None or reading.problems:
        raise Unreadable(reading.problems[0])
    return reading.content


def is_quick(data: bytes) -> bool:
    """Whether the document has few elements and attributes; attachments don't count."""
    if len(data) <= SHORT:
        return True
    return len(data) - len(data.translate(None, MARKS)) <= QUICK


def _joined(blocks: Iterable[bytes]) -> bytes:
    """Join the blocks of a stripped document. Hostile if they are too large for that."""
    kept, size = [], 0
    for block in blocks:
        kept.append(block)
        size += len(block)
        if size > MAX_STRIPPED:
            raise Hostile(f"the XML has more than {MAX_STRIPPED:,} bytes beside its attachments")
    # Programs that write whole blocks, or DOS's end of file, leave these behind the document.
    return b"".join(kept).rstrip(_AFTER)


def _parsed(data: bytes, lines: LineDigest) -> etree._Element:
    # Most have no such sign at all, and one byte is found many times as fast as a word.
    if b"!" in data and b"<!DOCTYPE" in data:
        _refuse_document_type(data)
    return _tree(data) if len(data) <= LONG else _tree_without_lines(data, lines)


class _NullTarget:
    """Parser target that keeps nothing, and refuses a document type."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise Hostile("the XML brings a document type of its own, which no invoice does")

    def close(self) -> None: ...


def _refuse_document_type(data: bytes) -> None:
    """Raise Hostile if a document has a document type, Unreadable if it is not well-formed.

    The words may only stand in a comment, so the document is parsed; nothing is kept of it.
    """
    parser = etree.XMLParser(
        target=_NullTarget(),  # type: ignore[arg-type] # any of the methods may be left out
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        parser.feed(data)
        parser.close()
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None


def _before_lines(data: bytes) -> Content | None:
    """Return what a UBL invoice says before its first line, for a document that is broken later.

    The schema puts parties and total before the lines. So the data are cut at the first line and
    the root is closed there. None if that does not give an invoice with both parties and a total,
    or if there may be a document type.
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
    content = ubl.read(tree, LineDigest())
    if not isinstance(content, Invoice) or not content.total:
        return None
    if _NOBODY in (content.supplier, content.customer):
        return None
    return structs.replace(content, details=None)


def _content_of(
    root: etree._Element, lines: LineDigest, payload: Payload, depth: int = 0
) -> Content:
    """Return what a tree says. payload: all of it; depth: in how many envelopes it lies."""
    envelope = envelope_of(root, payload)
    if envelope is None:
        for read_ in VOCABULARIES:
            if (content := read_(root, lines)) is not None:
                return content
        envelope = envelope_of_messages(root)
    if envelope is not None:
        if depth >= MAX_DEPTH:
            raise Hostile(f"it lies in more than {MAX_DEPTH} envelopes")
        return _enclosed(envelope, root, lines, payload, depth + 1)
    name = sanitized(etree.QName(root).localname, NAME)
    return Other(
        "xml", f"an XML document of another kind ({name})", "xml", possible_kinds=INVOICE_KINDS
    )


def _enclosed(
    envelope: Envelope, root: etree._Element, lines: LineDigest, payload: Payload, depth: int
) -> Content:
    """Return what the documents in an envelope say together."""
    # The lines that were dropped may be of any of the elements, so they tell only of a single one.
    has_several = len(envelope.elements) > 1
    contents = [
        _content_of(one, LineDigest() if has_several else lines, payload, depth)
        for one in envelope.elements
    ]
    contents += [one for text in envelope.texts if (one := _in_text(text, depth)) is not None]
    if has_several and payload.size > LONG:
        contents = list(map(_in_part, contents))
    found = combined(
        contents, envelope.format, f"{envelope.description} with several documents", "xml"
    )
    if found is not None:
        return found
    if envelope.format == "soap" and (message := vocabularies.read(root)) is not None:
        return message
    if len(contents) == 1:
        return contents[0]
    what = "and none of its documents is" if contents else "and nothing in it is"
    return Other(
        "xml",
        f"{envelope.description}, {what} an invoice or a statement",
        "xml",
        possible_kinds=INVOICE_KINDS,
    )


def _in_text(text: str, depth: int) -> Content | None:
    """Return what the XML in a text says, None if there is none."""
    data = document_in(text)
    if data is None:
        return None
    try:
        return content_of(data, depth)
    except Hostile:
        raise
    except Unreadable as error:
        what = f"an envelope whose document can't be read ({error})"
        return Other("xml", what, "xml", possible_kinds=INVOICE_KINDS)


def _in_part(content: Content) -> Content:
    return structs.replace(content, details=None) if isinstance(content, Invoice) else content


def _tree(data: bytes) -> etree._Element:
    if len(data) > MAX_NODES:
        _check_nodes(_nodes(data))
    # Indentation would be half of the nodes.
    parser = tree_parser(remove_blank_text=True)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None


def _tree_without_lines(data: bytes, lines: LineDigest) -> etree._Element:
    """Parse a long document, and drop each line of it as soon as it is in the digest."""
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
                if (paths := LINE_PATHS.get(line.tag)) is not None:
                    lines.add(paths.of_line(line))
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
