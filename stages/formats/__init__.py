"""What a document is, by its content: one module for each format, and one line here.

A module offers `recognises(head)`, whether the first bytes are of its format; `read(payload)`,
what the document says of itself; `problems(payload)`, what does not hold in its structure; and
`is_quick(data)`, whether the event loop may do both.
A vocabulary of XML is one module with `read(root)`, and one line in `stages/formats/xml.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import anyio.to_thread
from msgspec import Struct

from pipeline.payload import Payload
from stages.formats import binary, coda, error_page, mt940, pdf, text, xml
from stages.formats.content import BROKEN, Content, Other, Unreadable

T = TypeVar("T")

#: Bytes of a document that tell its format.
HEAD = 4096
#: Bytes above which a document is worth a thread, whatever it is.
LARGE = 256 * 1024


class Format(Protocol):
    """What a module of this package offers."""

    def recognises(self, head: bytes) -> bool:
        """Whether a document that begins so is of this format."""

    def read(self, payload: Payload) -> Content:
        """What the document says of itself. Unreadable if it can't be read."""

    def problems(self, payload: Payload) -> list[str]:
        """What does not hold in its structure, each part of a sentence. Unreadable likewise."""

    def is_quick(self, data: bytes) -> bool:
        """Whether to read one of at most LARGE bytes takes no more than a few milliseconds."""


class Unknown(Struct, frozen=True):
    """The format of a document that none of them recognises."""

    def recognises(self, head: bytes) -> bool:
        """Whatever it is."""
        return True

    def read(self, payload: Payload) -> Content:
        """Nothing, and it says so."""
        return Other("unknown", "a file of no format that synqup knows")

    def problems(self, payload: Payload) -> list[str]:
        """None: there is no structure to hold."""
        return []

    def is_quick(self, data: bytes) -> bool:
        """It is."""
        return True


#: The first that recognises a document reads it.
FORMATS: tuple[Format, ...] = (pdf, coda, error_page, xml, mt940, binary, text, Unknown())


def format_of(payload: Payload) -> Format:
    """The format of a document, by its first bytes."""
    head = payload.head(HEAD)
    for one in FORMATS:
        if one.recognises(head):
            return one
    raise AssertionError("the last one recognises whatever comes")


def read(payload: Payload) -> Content:
    """What a document says of itself. Unreadable if it can't be read, for whatever reason."""
    try:
        return format_of(payload).read(payload)
    except BROKEN as error:
        raise _unreadable(error) from error


def problems(payload: Payload) -> list[str]:
    """What does not hold in a document's structure. Unreadable likewise."""
    try:
        return format_of(payload).problems(payload)
    except BROKEN as error:
        raise _unreadable(error) from error


async def run_in_thread_if_slow(payload: Payload, work: Callable[[], T]) -> T:
    """Do some work on a document: in a thread, unless it is as good as done."""
    data = payload.data
    if data is not None and len(data) <= LARGE and format_of(payload).is_quick(data):
        return work()
    return await anyio.to_thread.run_sync(work)


def _unreadable(error: Exception) -> Unreadable:
    return Unreadable(f"it is made in a way that can't be read ({type(error).__name__})")
