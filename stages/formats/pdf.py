"""PDF (ISO 32000-1, 7.5): recognised by its header, whole when its end-of-file marker is there."""

from __future__ import annotations

from pipeline.payload import Payload
from stages.formats.content import INVOICES, Content, Other
from stages.list import Kind

#: Readers look for the header in the first 1024 bytes and for the marker in the last (Annex H).
SEARCHED = 1024


def recognises(head: bytes) -> bool:
    """Whether the header stands where readers look for it."""
    return b"%PDF-" in head[:SEARCHED]


def read(payload: Payload) -> Content:
    """What is printed for people says nothing of its parties that could be relied on."""
    return Other("pdf", "a PDF", "pdf", may_be=(*INVOICES, Kind.STATEMENT))


def oddities(payload: Payload) -> list[str]:
    """Whether the end is missing."""
    with payload.open() as stream:
        stream.seek(max(payload.size - SEARCHED, 0))
        return [] if b"%%EOF" in stream.read() else ["the PDF has no end (%%EOF)"]
