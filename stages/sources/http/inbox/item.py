"""Item of an inbox: what a list says of a document that waits, and what its type means."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from stages.kind import Kind

ANSWER, INVOICE, CREDIT_NOTE, OTHER = "answer", "invoice", "credit note", "document"


class Item(Struct, frozen=True):
    """One document. company: its company by the platform's own id, "" if the list states none.

    receivers: numbers of who it is for, in any spelling, the best first. name: what it is, for
    people. kind: None for what is no invoice: the content tells, and what is only an answer to a
    sale is noted there.
    """

    id: str
    company: str = ""
    receivers: tuple[str, ...] = ()
    sender: str = ""
    name: str = OTHER
    kind: Kind | None = None


class Page(Struct, frozen=True):
    """Some items of a list, or why one can't be read. total: of the whole list; None if unknown."""

    items: Sequence[Item | str]
    total: int | None = None


def meaning(document_type: str) -> tuple[str, Kind | None]:
    """What a document type of Peppol stands for: its name, and its kind in the receiver's books.

    An invoice that the customer issues in the supplier's name (self-billing) is the supplier's
    sale, and the supplier receives it.
    """
    text = document_type.lower()
    if "applicationresponse" in text:
        return ANSWER, None
    received = Kind.SALES if "selfbilling" in text else Kind.PURCHASE
    if "::creditnote##" in text:
        return CREDIT_NOTE, received
    if "::invoice##" in text or "crossindustryinvoice" in text:
        return INVOICE, received
    return OTHER, None
