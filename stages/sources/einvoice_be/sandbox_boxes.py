"""Inboxes and outboxes of the sandbox of e-invoice.be, made of the documents of its mailbox."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from stages.kind import Kind
from stages.sandbox.answers import Answer
from stages.sandbox.corpus import Document
from stages.sandbox.invoices import Invoice, money
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.statements import Statement
from stages.sources.einvoice_be.documents import Box

#: When the first document came, and the time between two; two of them come at the same moment.
FIRST = datetime(2026, 1, 5, 8, 11, 45, 120_000, tzinfo=UTC)
INTERVAL = timedelta(minutes=20)
#: What stands in the outbox beside what has been sent: after each so many, in turn.
UNSENT = {1: "DRAFT", 2: "FAILED", 3: "TRANSIT"}
TURNS = 4


class Row(Struct, frozen=True):
    """One item of a list. index: of its document in the mailbox."""

    index: int
    state: str


class Boxes:
    """The lists of each company, oldest first; they follow the mailbox as it grows."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._rows: dict[tuple[str, Box], list[Row]] = {}
        self._sent: Counter[str] = Counter()
        self._read = 0
        #: How many documents there were at which moment.
        self._counts: list[int] = []
        self._moments: list[float] = []

    def rows(self, company: str, box: Box) -> Sequence[Row]:
        """The list of a company, by its identifier."""
        self._follow()
        return self._rows.get((company, box), ())

    def document(self, company: str, id_: str) -> tuple[Document, Row] | None:
        """The document of an id, if it is the company's."""
        self._follow()
        bare, _, state = id_.partition("~")
        document = self._mailbox.find(bare)
        if document is None or document.company.identifier != company or not is_held(document):
            return None
        box = box_of(document)
        row = Row(document.index, state.upper() or sent_state(box))
        return (document, row) if not state or row in self.rows(company, box) else None

    def age(self, index: int) -> float:
        """Seconds since a document arrived; those of the start have always been there."""
        self._follow()
        at = bisect_right(self._counts, index)
        return time.monotonic() - self._moments[at] if at else float("inf")

    def item(self, row: Row) -> Mapping[str, Any]:
        """The JSON of a row."""
        return item(self._mailbox[row.index], row)

    def _follow(self) -> None:
        if self._counts and self._read == len(self._mailbox):
            return
        for index in range(self._read, len(self._mailbox)):
            document = self._mailbox[index]
            if not is_held(document):
                continue
            box = box_of(document)
            company = document.company.identifier
            rows = self._rows.setdefault((company, box), [])
            rows.append(Row(index, sent_state(box)))
            if box is Box.OUTBOX:
                self._sent[company] += 1
                if state := UNSENT.get(self._sent[company] % TURNS):
                    rows.append(Row(index, state))
        self._read = len(self._mailbox)
        self._counts.append(self._read)
        self._moments.append(time.monotonic())


def is_held(document: Document) -> bool:
    """Whether the platform has such documents: no statements, and no answers in its lists."""
    return not isinstance(document.content, Statement | Answer)


def box_of(document: Document) -> Box:
    """What we buy, and what our customers bill us in our name, is received; the rest is sent."""
    if isinstance(document.content, Invoice):
        is_ours = document.kind is Kind.SALES
        return Box.OUTBOX if is_ours != document.content.self_billed else Box.INBOX
    return Box.INBOX


def sent_state(box: Box) -> str:
    """The state of what has been received, or sent."""
    return "RECEIVED" if box is Box.INBOX else "SENT"


def row_id(document: Document, row: Row) -> str:
    """The id of a row: that of its document, unless it has not been sent."""
    is_sent = row.state in ("RECEIVED", "SENT")
    return document.id if is_sent else f"{document.id}~{row.state.lower()}"


def has_pdf(document: Document) -> bool:
    """Whether a PDF is attached at the platform."""
    return isinstance(document.content, Invoice) and document.index % 3 != 2


def attachments(document: Document, url: str | None = None) -> list[dict[str, Any]]:
    """The attachments of a document; url: of the bytes, which a list does not state."""
    if not has_pdf(document):
        return []
    return [
        {
            "id": f"att-{document.id}",
            "file_name": f"{document.number.replace('/', '-')}.pdf",
            "file_type": "application/pdf",
            "file_size": 0,
            "file_url": url,
        }
    ]


def item(document: Document, row: Row) -> Mapping[str, Any]:
    """The JSON of a document. Of a file of a corpus nothing is known but its id and its arrival."""
    created_at = FIRST + document.index // 2 * INTERVAL
    certain = {
        "id": row_id(document, row),
        "created_at": created_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
    if not isinstance(document.content, Invoice):
        return certain
    invoice = document.content
    received = box_of(document) is Box.INBOX
    type_ = "CREDIT_NOTE" if invoice.credit else "INVOICE"
    return certain | {
        "document_type": f"SELFBILLING_{type_}" if invoice.self_billed else type_,
        "state": row.state,
        "direction": "INBOUND" if received else "OUTBOUND",
        "invoice_id": invoice.number,
        "invoice_date": str(invoice.issued),
        "due_date": str(invoice.due),
        "vendor_name": invoice.supplier.name,
        "vendor_tax_id": invoice.supplier.identifier,
        "vendor_company_id": invoice.supplier.number,
        "customer_name": invoice.customer.name,
        "customer_tax_id": invoice.customer.identifier,
        "customer_company_id": invoice.customer.number,
        "customer_peppol_id": f"0208:{invoice.customer.number}",
        "purchase_order": invoice.order,
        "currency": "EUR",
        "subtotal": money(invoice.net),
        "total_discount": None,
        "total_tax": money(invoice.vat),
        "invoice_total": money(invoice.total),
        "amount_due": money(invoice.total),
        "note": None,
        "attachments": attachments(document),
        "items": [
            {
                "description": line.name,
                "quantity": str(line.quantity),
                "unit": line.unit,
                "unit_price": money(line.price),
                "tax_rate": f"{line.rate}.00",
                "amount": money(line.amount),
            }
            for line in invoice.lines
        ],
        "payment_details": [
            {"iban": invoice.supplier.iban, "payment_reference": invoice.remittance}
        ],
        "tax_details": [],
    }
