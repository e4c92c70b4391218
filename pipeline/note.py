"""Note contract: what a document says of another one, which the ledger records for `status`."""

from __future__ import annotations

import hashlib

from msgspec import Struct


class Note(Struct, frozen=True):
    """What is said of the document of a company that bears a number.

    reference: that number. party: who says it. says: in a word or two, of which there are few.
    accepted: whether that is an acceptance or a refusal; None if it is neither. reason: why.
    identity: 63 bits that are equal only for the same note, however often and under whichever id
    the document that brings it is listed.
    """

    company: str
    reference: str
    party: str
    says: str
    accepted: bool | None
    reason: str
    identity: int


def identity_of(*parts: str) -> int:
    """Return 63 bits that are equal only for equal parts."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) >> 1
