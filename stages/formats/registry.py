"""Format registry: detects the format of a document by its content, reads it and checks it.

A format is one module that fulfils the protocol `Format`, and one place in the table FORMATS. A
vocabulary of XML is one module with `read(root)`, and one place in VOCABULARIES of
`stages/formats/xml.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import anyio.to_thread
from msgspec import Struct

from pipeline.payload import Payload
from stages.formats import binary, coda, error_page, mt940, pdf, text, xml
from stages.formats.content import BROKEN, Other, Reading, Unreadable

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


def format_of(payload: Payload) -> Format:
    """Detect the format of a document by its first bytes."""
    head = payload.head(HEAD)
    for one in FORMATS:
        if one.recognises(head):
            return one
    raise AssertionError("the last format recognises every document")


def read(payload: Payload) -> Reading:
    """Return what a document says of itself, and what is wrong with its structure.

    Unreadable if it can't be read, whatever the cause; Hostile if that would cost too much.
    """
    try:
        return format_of(payload).read(payload)
    except BROKEN as error:
        raise Unreadable(f"it can't be read ({type(error).__name__})") from error


async def run_in_thread_if_slow(payload: Payload, work: Callable[[], T]) -> T:
    """Run `work` on a document and return its result: in a thread, unless it takes only moments.

    A small document of a quick format is processed on the event loop, because a thread would cost
    more than the work itself.
    """
    data = payload.data
    if data is not None and len(data) <= LARGE and format_of(payload).is_quick(data):
        return work()
    return await anyio.to_thread.run_sync(work)
