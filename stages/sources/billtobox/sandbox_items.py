"""List items of Billtobox's external API v4, made of the sandbox's documents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from stages.kind import Kind
from stages.sandbox.answers import Answer
from stages.sandbox.corpus import Document
from stages.sandbox.invoices import Invoice
from stages.sandbox.state_index import State
from stages.sandbox.statements import Statement

#: Our states by the platform's accounting status, and the other way round.
STATES = {
    "TO_BE_FETCHED": State.PENDING,
    "FORWARDED": State.ACKED,
    "ERROR": State.NACKED,
}
_STATUSES = {state: status for status, state in STATES.items()}


def item(document: Document, state: State) -> Mapping[str, Any]:
    """The item, ready for JSON: amounts in euros, dates as date-times at midnight UTC."""
    common = {
        "id": document.id,
        "platform_id": document.company.platform_id,
        "accounting_status": _STATUSES[state],
    }
    if document.revision.number and not document.revision.mute:
        common["revision"] = str(document.revision.number)
    match document.content:
        case Invoice() as invoice if document.kind is Kind.PURCHASE:
            return common | _purchase(document.id, invoice)
        case Invoice() as invoice:
            return common | _sale(invoice)
        case Answer() as answer:
            # The platform tells what an answer is as little as its list does.
            return common | _sale(answer.invoice)
        case Statement() as statement:
            return common | _statement(statement, sha256(document.read()).hexdigest())
        case Path():
            return common


def _purchase(id_: str, invoice: Invoice) -> dict[str, Any]:
    return {
        "purchase_invoice_uuid": id_,
        "purchase_invoice_number": invoice.number,
        "client_creditor_purchase_invoice_number": invoice.number,
        "client_creditor_number": invoice.supplier.accounting_file_id,
        "creditor_number": invoice.supplier.number,
        "client_number": invoice.customer.number,
        "creditor_currency_code": "EUR",
        "purchase_invoice_date": _midnight(invoice.issued),
        "purchase_invoice_due_date": _midnight(invoice.due),
        **_amounts(invoice),
    }


def _sale(invoice: Invoice) -> dict[str, Any]:
    return {
        "sales_invoice_number": invoice.number,
        "sales_invoice_date": _midnight(invoice.issued),
        "sales_invoice_due_date": _midnight(invoice.due),
        "debtor_id": invoice.customer.number,
        "client_id": invoice.supplier.number,
        "delivery_channel": "PEPPOL",
        **_amounts(invoice),
    }


def _statement(statement: Statement, digest: str) -> dict[str, Any]:
    return {
        "account": statement.iban,
        "statement_number": statement.number,
        "statement_date": _midnight(statement.day),
        "sha256": digest,
    }


def _amounts(invoice: Invoice) -> dict[str, Any]:
    return {
        "amount": invoice.total / 100,
        "vat_amount": invoice.vat / 100,
        "currency_code": "EUR",
        "invoice_lines": [
            {
                "id": str(number),
                "service_name": line.name,
                "service_description": line.name,
                "service_quantity": line.quantity,
                "service_price": line.price / 100,
                "service_vat": line.rate,
            }
            for number, line in enumerate(invoice.lines, 1)
        ],
    }


def _midnight(day: date) -> str:
    return f"{day}T00:00:00Z"
