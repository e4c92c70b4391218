"""Format registry: detects the format of a document by its content, reads it and checks it.

A format is one module that fulfils the protocol `Format`, and one place in the table FORMATS. A
vocabulary of XML is one module with `read(root)`, and one place in VOCABULARIES of
`stages/formats/xml.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import anyio.to_thread
from msgspec import Struct, structs

from pipeline.payload import Payload
from stages.formats import binary, coda, error_page, mt940, pdf, preamble, text, unwrap, xml
from stages.formats.content import BROKEN, Hostile, Other, Reading, Unreadable
from stages.formats.scratch import Room, collected

T = TypeVar("T")

#: Bytes from the beginning of a document by which its format is detected.
HEAD = 4096
#: Bytes above which a document is always processed in a thread, whatever its format.
LARGE = 256 * 1024


class Format(Protocol):
    """Format reader: what each module of a format has to offer.

    read raises Unreadable if the document is whole and can't be read, and Hostile, which is an
    Unreadable, if reading it would cost too much. It runs on the event loop or in a thread, and
    keeps nothing between calls.
    """

    def recognises(self, head: bytes) -> bool:
        """Whether a document that begins with these bytes is of this format."""

    def read(self, payload: Payload) -> Reading:
        """Return what the document says of itself, and what is wrong with its structure."""

    def is_quick(self, data: bytes) -> bool:
        """Whether reading this document, of at most LARGE bytes, takes a few milliseconds."""


class Unknown(Struct, frozen=True):
    """Fallback: the format of a document that no other format recognises."""

    def recognises(self, head: bytes) -> bool:
        """Recognise any document."""
        return True

    def read(self, payload: Payload) -> Reading:
        """Return that the format is unknown: there is no structure that could be checked."""
        return Reading(Other("unknown", "a file of no format that synqup knows"))

    def is_quick(self, data: bytes) -> bool:
        """Return True: nothing is read."""
        return True


#: The formats, in the order in which they are asked: the first that recognises a document reads it.
FORMATS: tuple[Format, ...] = (pdf, coda, error_page, xml, mt940, binary, text, Unknown())
#: Those in which documents come, and those that may only wrap one.
_DOCUMENTS: tuple[Format, ...] = (pdf, coda, xml, mt940, error_page)
_MAY_WRAP: tuple[Format, ...] = (binary, text)
_IMAGES = ("png", "jpeg", "tiff", "gif")
_PACKED = ("zip", "gzip")
#: A document, and the layers around it.
MAX_LAYERS = 5


def format_of(payload: Payload) -> Format:
    """Detect the format of a document by its first bytes, whatever stands before them."""
    head = _head(payload)
    for one in FORMATS:
        if one.recognises(head):
            return one
    raise AssertionError("the last format recognises any document")


def _head(payload: Payload) -> bytes:
    """Return the beginning of a document as readers see it."""
    head = preamble.plain(payload.head(HEAD))
    if len(head) < HEAD // 2 and payload.size > HEAD:
        # What stands before it takes most of that.
        head = preamble.plain(payload.head(preamble.BLOCK))
    return head[:HEAD]


class Opened(Struct, frozen=True):
    """A document that has been read.

    payload: the document itself: what came, or what was wrapped in that. reading: what it says.
    """

    payload: Payload
    reading: Reading


def opened(payload: Payload, room: Room, format_: Format | None = None) -> Opened:
    """Take off what a document is wrapped in, and read it.

    format_: of the document, if the caller has detected it. What is inside counts only if it is of
    a format in which documents come. The caller has to discard the payload if it is another one
    than came. Errors as by read(), and OSError if there is no room for what is inside.
    """
    format_ = format_ or format_of(payload)
    if format_ not in _MAY_WRAP:
        return Opened(payload, _read(payload, format_, room))
    # Each of them lay in the one before.
    layers = [payload]
    try:
        reading = None
        while isinstance(inside := _inside(layers[-1], room), Payload):
            layers.append(inside)
            if len(layers) > MAX_LAYERS:
                raise Hostile(f"it is wrapped more than {MAX_LAYERS - 1} times")
        reading = inside or _read(layers[-1], format_of(layers[-1]), room)
        if len(layers) > 1 and not _is_document(layers[-1], reading):
            reading = _wrapping(_read(payload, format_, room), reading)
            layers.append(payload)
    except BaseException:
        _discard(layers, payload)
        raise
    _discard(layers[:-1], payload)
    return Opened(layers[-1], reading)


def read(payload: Payload) -> Reading:
    """Return what a document says of itself, and what is wrong with its structure.

    Unreadable if it can't be read, whatever the cause; Hostile if that would cost too much.
    """
    found = opened(payload, Room())
    _discard([found.payload], payload)
    return found.reading


async def run_in_thread_if_slow(
    payload: Payload, work: Callable[[], T], format_: Format | None = None
) -> T:
    """Run `work` on a document and return its result: in a thread, unless it takes only moments.

    A small document of a quick format is processed on the event loop, because a thread would cost
    more than the work itself. format_: as for opened().
    """
    data = payload.data
    if data is not None and len(data) <= LARGE:
        format_ = format_ or format_of(payload)
        is_wrapped = format_ in _MAY_WRAP and unwrap.is_wrapped(_head(payload))
        if not is_wrapped and format_.is_quick(data):
            return work()
    return await anyio.to_thread.run_sync(work)


def _inside(payload: Payload, room: Room) -> Payload | Reading | None:
    """Take one layer off; None if there is none."""
    if format_of(payload) not in _MAY_WRAP:
        return None
    plain = _plain(payload, room)
    try:
        return unwrap.unwrapped(plain, room)
    except BROKEN as error:
        raise Unreadable(f"it can't be unpacked ({type(error).__name__})") from error
    finally:
        _discard([plain], payload)


def _read(payload: Payload, format_: Format, room: Room) -> Reading:
    # XML is read in any encoding, and without a copy.
    plain = payload if format_ is xml else _plain(payload, room)
    try:
        return format_.read(plain)
    except BROKEN as error:
        raise Unreadable(f"it can't be read ({type(error).__name__})") from error
    finally:
        _discard([plain], payload)


def _plain(payload: Payload, room: Room) -> Payload:
    """Return a document as readers see it: itself, unless something stands before it."""
    head = payload.head(HEAD)
    # It may be nothing but blank, or its preamble be longer than that.
    if preamble.plain(head) is head or head.startswith(_head(payload)):
        return payload
    with payload.open() as stream:
        return collected(preamble.plain_blocks(stream), payload.size, room)


def _is_document(payload: Payload, reading: Reading) -> bool:
    """Whether what was wrapped is of a format in which a document comes."""
    content = reading.content
    if isinstance(content, Other) and content.format in _IMAGES:
        return True
    return format_of(payload) in _DOCUMENTS


def _wrapping(outer: Reading, inner: Reading) -> Reading:
    """Return what a wrapping is in which there is no document."""
    holder, held = outer.content, inner.content
    if not isinstance(holder, Other) or not isinstance(held, Other):
        return outer
    if holder.format == "text" and held.format not in _PACKED:
        # Its words happen to be base64, too.
        return outer
    description = f"{holder.description} that holds {held.description}"
    return Reading(
        structs.replace(holder, description=description), (*outer.problems, *inner.problems)
    )


def _discard(payloads: Iterable[Payload], kept: Payload) -> None:
    for one in payloads:
        if one is not kept:
            one.discard()
