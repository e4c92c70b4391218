"""Documents of e-invoice.be's lists: what each item is, and whether it is to be fetched."""

from __future__ import annotations

from enum import StrEnum

from pipeline.source import Entry, Form
from pipeline.text import quoted
from stages.kind import Kind
from stages.model import Listed
from stages.settings import Company, Config
from stages.sources.einvoice_be.api import Item

PDF = "pdf"
#: States of an invoice that has not been sent: not yet, or not at all.
UNSENT = ("DRAFT", "TRANSIT", "FAILED")
#: Types of documents that the customer issues in the supplier's name, and all others.
SELF_BILLED = ("SELFBILLINGINVOICE", "SELFBILLINGCREDITNOTE", "SELFBILLINGDEBITNOTE")
BILLED = ("INVOICE", "CREDITNOTE", "DEBITNOTE")


class Box(StrEnum):
    """A list: of what a company has received, or has sent."""

    INBOX = "inbox"
    OUTBOX = "outbox"


def is_unsent(item: Item, box: Box) -> bool:
    """Whether an item of the outbox has not been sent, so that it is left there."""
    return box is Box.OUTBOX and _bare(item.state) in UNSENT


def kind_of(item: Item, box: Box) -> Kind | None:
    """The kind of an item, None if its type is not stated.

    What we receive is a purchase and what we send is a sale; of what the customer has issued in the
    supplier's name it is the other way round.
    """
    type_ = _bare(item.document_type)
    if type_ not in (*SELF_BILLED, *BILLED):
        return None
    direction = _bare(item.direction)
    received = box is Box.INBOX
    if direction in ("INBOUND", "OUTBOUND"):
        received = direction == "INBOUND"
    return Kind.PURCHASE if received != (type_ in SELF_BILLED) else Kind.SALES


def entry_of(item: Item, box: Box, company: Company, config: Config) -> Entry:
    """The entry of an item. Its id has the company and the list in it: see locate()."""
    kind = kind_of(item, box)
    received = box is Box.INBOX
    named = f"{_words(item.document_type)} {item.invoice_id or ''}".strip()
    return Entry(
        id=f"{company.identifier}/{box}/{item.id}",
        revision="",
        label=f"{quoted(named)} (id {quoted(item.id)})",
        meta=Listed(
            config=config,
            id=item.id,
            kind=kind,
            company=company.identifier,
            number=item.invoice_id or "",
            issue_date=(item.invoice_date or "").partition("T")[0],
            counterparty=(item.vendor_name if received else item.customer_name) or "",
        ),
        forms=_forms(item),
    )


def locate(entry_id: str) -> tuple[str, str]:
    """The number of the company of an entry, and the id of its document."""
    identifier, _, rest = entry_id.partition("/")
    return identifier, rest.partition("/")[2]


def _forms(item: Item) -> tuple[Form, ...] | None:
    if item.attachments is None:
        return None
    pdf = next((one for one in item.attachments if one.is_pdf), None)
    return (Form(PDF, "application/pdf", pdf.file_size or None),) if pdf else ()


def _bare(word: str | None) -> str:
    """A word of the platform, whatever its case and the signs in it."""
    return "".join(filter(str.isalnum, word or "")).upper()


def _words(type_: str | None) -> str:
    return (type_ or "document").replace("_", " ").lower()
