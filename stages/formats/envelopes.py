"""Envelopes: XML that only carries other documents, as elements, as text or as base64.

SBDH 1.3 (Peppol, with TextContent and BinaryContent), XHE 1.0, UBL AttachedDocument, SOAP, and what
banks put around a message, which often has no standard and is known by the message in it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from lxml import etree
from msgspec import Struct

from pipeline.payload import Payload
from stages.formats import camt, preamble, unwrap
from stages.formats.content import Hostile
from stages.formats.elements import each, name_of
from stages.formats.scratch import Room
from stages.formats.xml_strip import BLOCK, ascii_markup

#: Documents in one envelope.
MAX_DOCUMENTS = 64
#: Characters of all base64 of one envelope that may be XML.
MAX_BASE64 = 32 * 1024 * 1024
#: Characters of base64 by which XML is told.
HEAD = 64

_HEADERS = {"StandardBusinessDocumentHeader", "AppHdr", "Header", "Hdr"}
#: The elements that hold a document as text or as base64.
_TEXTS = {
    "TextContent",
    "BinaryContent",
    "PayloadContent",
    "EmbeddedDocumentBinaryObject",
    "Body",
    "Pyld",
    "Payload",
}
#: Elements between the envelope of a bank and the message.
_BANK_BODIES = {"Body", "Pyld", "Payload"}
#: Elements in one another around a message of a bank, and elements in which it is looked for.
_MAX_AROUND = 4
_MAX_LOOKED_AT = 1000
_DESCRIPTION = ("{*}ExternalReference", "{*}Description")
_DECLARATION = re.compile(r"<\?xml[^>]*\?>")
_MARKUP = re.compile(rb"<[?!A-Za-z_]")
#: The beginnings of gzip and of a ZIP.
_PACKED = (b"\x1f\x8b\x08", b"PK\x03\x04")


class Envelope(Struct, frozen=True):
    """An envelope that has been opened.

    format, description: of what it is, for reasons. elements, texts: the documents inside.
    """

    format: str
    description: str
    elements: tuple[etree._Element, ...]
    texts: tuple[str, ...]


#: The envelopes, by the names of their roots.
_ENVELOPES = {
    "StandardBusinessDocument": ("sbdh", "an envelope (SBDH)"),
    "XHE": ("xhe", "an envelope (XHE)"),
    "BizMsgEnvlp": ("bank-envelope", "an envelope of a bank"),
    "RequestPayload": ("bank-envelope", "an envelope of a bank"),
    "DataPDU": ("bank-envelope", "an envelope of a bank"),
    "AttachedDocument": ("ubl-attacheddocument", "a UBL AttachedDocument"),
    "Envelope": ("soap", "a SOAP message"),
}


def envelope_of(root: etree._Element, payload: Payload) -> Envelope | None:
    """Return the envelope that a document is, None if it is none.

    payload: the whole document, from which base64 is read that was cut from the tree. Hostile if
    there is more in it than in any envelope.
    """
    known = _ENVELOPES.get(name_of(root))
    if known is None or (known[0] == "soap" and next(root.iterchildren("{*}Body"), None) is None):
        return None
    elements, texts, is_cut = [], [], False
    for element in _carried(root, known[0]):
        if len(element):
            elements.append(element)
        elif text := element.text:
            is_cut = is_cut or (name_of(element) in _TEXTS and len(text) > BLOCK)
            texts.append(text)
        elif not _is_carrier(element):
            elements.append(element)
        if len(elements) + len(texts) > MAX_DOCUMENTS:
            raise Hostile(f"it holds more than {MAX_DOCUMENTS} documents")
    if is_cut:
        texts = [one for one in texts if "<" in one] + _long_texts(payload)
    return Envelope(*known, tuple(elements), tuple(texts))


def envelope_of_messages(root: etree._Element) -> Envelope | None:
    """Return the unknown envelope that a document is, None unless it carries ISO 20022 messages.

    They are looked for only in the outer elements; Hostile if there are more than in any envelope.
    """
    found: list[etree._Element] = []
    level, looked_at = [root], 0
    for _ in range(_MAX_AROUND):
        inside: list[etree._Element] = []
        for child in (one for parent in level for one in parent.iterchildren(etree.Element)):
            looked_at += 1
            if looked_at > _MAX_LOOKED_AT:
                break
            (found if camt.message_type(child) else inside).append(child)
        level = inside
    if len(found) > MAX_DOCUMENTS:
        raise Hostile(f"it holds more than {MAX_DOCUMENTS} documents")
    return Envelope("envelope", "an envelope", tuple(found), ()) if found else None


def document_in(text: str) -> bytes | None:
    """Return the XML that a text is, or that its base64 stands for, packed or not; else None.

    Hostile if it is packed and larger than any document in an envelope.
    """
    text = text.strip("\ufeff\u200b\0\t\n\v\f\r ")
    if text.startswith("<"):
        # What it declares is no longer the encoding.
        declared = _DECLARATION.match(text)
        return text[declared.end() if declared else 0 :].encode()
    data = _decoded("".join(text.split()))
    if data is not None and data.startswith(_PACKED):
        data = _unpacked(data)
    return data if data is not None and _is_markup(data) else None


def _unpacked(data: bytes) -> bytes | None:
    """Return what is packed in gzip or in a ZIP, None if that is damaged or several files."""
    room = Room(in_memory=MAX_BASE64, most=MAX_BASE64)
    inside = unwrap.unwrapped(Payload(len(data), sha256="", data=data), room)
    return inside.data if isinstance(inside, Payload) else None


def _carried(root: etree._Element, format_: str) -> Iterator[etree._Element]:
    """Yield the elements that are documents, or hold one as text."""
    if format_ == "ubl-attacheddocument":
        for attachment in root.iter("{*}Attachment"):
            yield from each(attachment, *_DESCRIPTION)
            yield from each(attachment, "{*}EmbeddedDocumentBinaryObject")
        return
    passed = _HEADERS
    if format_ == "xhe":
        found = each(root, "{*}Payloads", "{*}Payload", "{*}PayloadContent")
    elif format_ == "soap":
        found = each(root, "{*}Body")
    elif format_ == "bank-envelope":
        bodies = [one for one in root.iterchildren(etree.Element) if name_of(one) in _BANK_BODIES]
        passed = _HEADERS | _BANK_BODIES
        found = iter([root, *bodies])
    else:
        found = iter([root])
    for parent in found:
        if len(parent) == 0:
            yield parent
        for child in parent.iterchildren(etree.Element):
            if name_of(child) not in passed:
                yield child


def _is_carrier(element: etree._Element) -> bool:
    return name_of(element) in _TEXTS | set(_ENVELOPES) | {"Description"}


class _LongTexts:
    """Parser target that keeps the base64 in an envelope which begins as that of XML does."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._pieces: list[str] | None = None
        self._size = self._kept = 0

    def start(self, tag: str, _: Mapping[str, str]) -> None:
        is_text = tag.rpartition("}")[2] in _TEXTS
        self._pieces, self._size = [] if is_text else None, 0

    def data(self, text: str) -> None:
        if self._pieces is None:
            return
        was, self._size = self._size, self._size + len(text)
        self._pieces.append(text)
        if was < 2 * HEAD <= self._size:
            begun = "".join("".join(self._pieces).split())[:HEAD]
            first = _decoded(begun[: len(begun) // 4 * 4]) or b""
            if not (_is_markup(first) or first.startswith(_PACKED)):
                self._pieces = None
                return
        self._kept += len(text)
        if self._kept > MAX_BASE64:
            raise Hostile(f"the XML in it has more than {MAX_BASE64:,} bytes")

    def end(self, _: str) -> None:
        if self._pieces:
            self.found.append("".join(self._pieces))
        self._pieces = None

    def close(self) -> None: ...


def _long_texts(payload: Payload) -> list[str]:
    target = _LongTexts()
    parser = etree.XMLParser(
        target=target,  # type: ignore[arg-type] # any of the methods may be left out
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        # As in attachments.py: the document has been parsed before, and has no document type.
        huge_tree=True,
    )
    # It is well-formed; but what follows its end, and was cut off before, is not.
    with suppress(etree.XMLSyntaxError), payload.open() as stream:
        for piece in ascii_markup(stream):
            parser.feed(piece)
        parser.close()
    return target.found[:MAX_DOCUMENTS]


def _decoded(signs: str) -> bytes | None:
    """Return what base64 stands for, in either alphabet; None if it is none."""
    try:
        data = signs.encode("ascii").rstrip(b"=").translate(_FROM_URL)
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4), strict_mode=True)
    except (UnicodeError, binascii.Error):
        return None


_FROM_URL = bytes.maketrans(b"-_", b"+/")


def _is_markup(data: bytes) -> bool:
    return _MARKUP.match(preamble.plain(data[:BLOCK]).lstrip()) is not None
