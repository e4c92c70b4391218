"""Enclosed document: takes the one document out of an envelope (SBDH 1.3), byte for byte.

An access point of Peppol hands over what a sender sent: a StandardBusinessDocument with the invoice
inside. An accounting package imports the invoice. It is copied as it stands there, with the
namespaces that it uses and only the envelope declares; of BinaryContent and TextContent (Peppol
Envelope Specification 2.0) what they hold is taken. Memory is flat whatever its attachments are.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from msgspec import Struct

from pipeline.payload import Payload
from stages.formats.envelopes import document_in
from stages.formats.scratch import Room, collected
from stages.formats.xml_strip import ascii_markup

#: The root of the envelope, its header, and the elements that hold a document as text.
ENVELOPE = "StandardBusinessDocument"
HEADER = "StandardBusinessDocumentHeader"
BASE64, TEXT = "BinaryContent", "TextContent"
#: Bytes from the beginning within which the root is named.
HEAD = 4096
#: Characters of a TextContent.
MAX_TEXT = 32 * 1024 * 1024

_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")
_BLANKS = b" \t\r\n"


class _NotOne(Exception):
    """It is no envelope, or one with no document or with several."""


class _Place(Struct):
    """Where the document is: bytes from the beginning of its tag to that of its closing tag."""

    name: str
    start: int
    end: int = -1
    elements: int = 0
    #: Prefixes that it uses, and what the envelope declares them to be.
    used: set[str] = set()
    declared: dict[str, str] = {}


def enclosed(payload: Payload, room: Room) -> Payload | None:
    """Take the document out of an envelope; None if there is not exactly one, or it is none.

    The caller has to discard the result. Hostile and OSError as by scratch.collected().
    """
    if ENVELOPE.encode() not in payload.head(HEAD).replace(b"\0", b""):
        return None
    try:
        with payload.open() as stream:
            place = _found(stream)
        with payload.open() as stream:
            return collected(_inside(stream, place), payload.size, room)
    except (_NotOne, expat.ExpatError, binascii.Error, ValueError):
        return None


def _inside(stream: BinaryIO, place: _Place) -> Iterator[bytes]:
    local = place.name.rpartition(":")[2]
    if local == BASE64:
        return _decoded(stream)
    if local == TEXT:
        return _text(stream)
    return _copied(stream, place)


class _Finder:
    """Parser handlers that find the one document in an envelope; _NotOne if there is not one."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.place: _Place | None = None
        self._depth = 0
        self._declared: dict[str, str] = {}

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        local = name.rpartition(":")[2]
        if self._depth == 1:
            if local != ENVELOPE:
                raise _NotOne
            self._declared = _namespaces(attributes)
        elif self._depth == 2 and local != HEADER:
            if self.place is not None:
                raise _NotOne
            own = _namespaces(attributes)
            declared = {key: value for key, value in self._declared.items() if key not in own}
            self.place = _Place(name, self.parser.CurrentByteIndex, declared=declared)
        if self.place is not None and self.place.end < 0:
            self.place.elements += 1
            self.place.used |= _prefixes(name, attributes)

    def _end(self, _: str) -> None:
        if self._depth == 2 and self.place is not None and self.place.end < 0:
            self.place.end = self.parser.CurrentByteIndex
        self._depth -= 1

    def _doctype(self, *_: object) -> None:
        raise _NotOne


def _found(stream: BinaryIO) -> _Place:
    """Find the one document in the envelope. _NotOne; ExpatError if it is not well-formed."""
    finder = _Finder()
    for block in ascii_markup(stream):
        finder.parser.Parse(block)
    finder.parser.Parse(b"", True)
    place = finder.place
    is_text = place is not None and place.name.rpartition(":")[2] in (BASE64, TEXT)
    if place is None or (place.elements == 1) is not is_text:
        raise _NotOne
    return place


def _namespaces(attributes: dict[str, str]) -> dict[str, str]:
    """The namespaces that an element declares, by their prefixes."""
    return {
        name.partition(":")[2]: value
        for name, value in attributes.items()
        if name == "xmlns" or name.startswith("xmlns:")
    }


def _prefixes(name: str, attributes: dict[str, str]) -> set[str]:
    """The prefixes that an element uses, "" for the default namespace."""
    used = {name.rpartition(":")[0]}
    for key, value in attributes.items():
        prefix, _, local = key.rpartition(":")
        if prefix and prefix != "xmlns":
            used.add(prefix)
        if local == "type":  # xsi:type names a type with its prefix
            used.add(value.rpartition(":")[0])
    return used


def _copied(stream: BinaryIO, place: _Place) -> Iterator[bytes]:
    """Yield the element as it stands in the envelope, as a document of its own."""
    encoding = "UTF-8"
    at = 0
    is_first = True
    for block in ascii_markup(stream):
        if is_first:
            declared = _DECLARED.match(block.lstrip(b"\xef\xbb\xbf"))
            encoding = declared[1].decode() if declared else encoding
            yield b'<?xml version="1.0" encoding="%b"?>\n' % encoding.encode()
            after = place.start + 1 + len(place.name.encode(encoding))
            missing = "".join(
                f" xmlns{':' if prefix else ''}{prefix}={quoteattr(value)}"
                for prefix, value in place.declared.items()
                if prefix in place.used
            ).encode(encoding, "xmlcharrefreplace")
            is_first = False
        yield block[max(place.start - at, 0) : max(min(after, place.end) - at, 0)]
        if at <= after < at + len(block):
            yield missing
        yield block[max(after - at, 0) : max(place.end - at, 0)]
        at += len(block)
    yield f"</{place.name}>\n".encode(encoding)


def _characters(stream: BinaryIO) -> Iterator[str]:
    """Yield the characters of the document's element, as they come."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = 0
    is_inside = False
    found: list[str] = []

    def start(name: str, _: object) -> None:
        nonlocal depth, is_inside
        depth += 1
        if is_inside:
            raise _NotOne
        is_inside = depth == 2 and name.rpartition(":")[2] in (BASE64, TEXT)

    def end(_: str) -> None:
        nonlocal depth, is_inside
        depth -= 1
        is_inside = False

    def data(text: str) -> None:
        if is_inside:
            found.append(text)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    for block in ascii_markup(stream):
        parser.Parse(block)
        yield "".join(found)
        found.clear()
    parser.Parse(b"", True)
    yield "".join(found)


def _decoded(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what the base64 in the element stands for."""
    rest = b""
    for text in _characters(stream):
        rest += text.encode("ascii").translate(None, _BLANKS)
        whole = len(rest) - len(rest) % 4
        yield binascii.a2b_base64(rest[:whole], strict_mode=True) if whole else b""
        rest = rest[whole:]
    rest = rest.rstrip(b"=")
    yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4), strict_mode=True) if rest else b""


def _text(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the text in the element, in UTF-8: what its declaration says of it is left out."""
    pieces, size = [], 0
    for text in _characters(stream):
        size += len(text)
        if size > MAX_TEXT:
            raise _NotOne
        pieces.append(text)
    whole = "".join(pieces)
    data = document_in(whole)
    yield whole.encode() if data is None else data
