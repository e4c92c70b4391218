"""What a document is, by its content: one module for each format, and one line here.

A module offers `recognises(head)`, whether the first bytes are of its format; `read(payload)`,
what the document says of itself; and `oddities(payload)`, what does not hold in its structure.
A vocabulary of XML is one module with `read(root)`, and one line in `stages/formats/xml.py`.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from pipeline.payload import Payload
from stages.formats import answer, binary, coda, mt940, pdf, text, xml
from stages.formats.content import Content, Other

#: Bytes of a document that tell its format.
HEAD = 4096


class Format(Protocol):
    """What a module of this package offers."""

    def recognises(self, head: bytes) -> bool:
        """Whether a document that begins so is of this format."""

    def read(self, payload: Payload) -> Content:
        """What the document says of itself. Unreadable if it can't be read."""

    def oddities(self, payload: Payload) -> list[str]:
        """What does not hold in its structure, each part of a sentence. Unreadable likewise."""


class Unknown(Struct, frozen=True):
    """The format of a document that none of them recognises."""

    def recognises(self, head: bytes) -> bool:
        """Whatever it is."""
        return True

    def read(self, payload: Payload) -> Content:
        """Nothing, and it says so."""
        return Other("unknown", "a file of no format that synqup knows")

    def oddities(self, payload: Payload) -> list[str]:
        """None: there is no structure to hold."""
        return []


#: The first that recognises a document reads it.
FORMATS: tuple[Format, ...] = (pdf, coda, answer, xml, mt940, binary, text, Unknown())


def format_of(payload: Payload) -> Format:
    """The format of a document, by its first bytes."""
    head = payload.head(HEAD)
    return next(one for one in FORMATS if one.recognises(head))
