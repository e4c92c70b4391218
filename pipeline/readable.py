"""Contract of the readable view: a document as a PDF, for people who have nothing else to open."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from pipeline.document import Key


class Readable(Struct, frozen=True):
    """A document as a PDF. name: of its file, safe on every system, with its extension."""

    name: str
    pdf: bytes


class ReadableMaker(Protocol):
    """What makes readable views."""

    async def readable(self, key: Key, language: str) -> Readable:
        """Make the readable view of a document.

        language: "nl", "fr" or "en". NotKnown if there is no such document; another SynqupError
        says why it can't be shown, and what to do.
        """
