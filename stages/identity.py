"""What makes an invoice one and the same, by whichever route and in whichever form it comes."""

from __future__ import annotations

import hashlib
from decimal import Decimal, InvalidOperation

from msgspec import Struct

from stages.formats.content import Invoice
from stages.identifiers import compact, enterprise_number
from stages.parties import Party


class Identity(Struct, frozen=True):
    """Of an invoice or a credit note.

    supplier: one of its identifiers, the same in every form. issue_date: ISO 8601. type_code:
    UNTDID 1001. total: without zeros behind.
    """

    supplier: str
    number: str
    issue_date: str
    type_code: str
    total: str

    def hash(self, *whose: str) -> int:
        """63 bits that another document of the same company and kind has only if it is the same."""
        parts = (self.supplier, self.number, self.issue_date, self.type_code, self.total)
        return _hash(*whose, *parts)

    def number_hash(self, *whose: str) -> int:
        """63 bits that another document has if its supplier and its number are the same."""
        return _hash(*whose, self.supplier, self.number)


def identity(invoice: Invoice) -> Identity | None:
    """The identity of an invoice; None where something that it is made of is missing."""
    supplier = _supplier(invoice.supplier)
    number = " ".join(invoice.number.split())
    if not (supplier and number and invoice.issue_date and invoice.total):
        return None
    return Identity(supplier, number, invoice.issue_date, invoice.type_code, _amount(invoice.total))


def _supplier(party: Party) -> str:
    """A VAT number before any other: it is in every form of an invoice."""
    ranked = sorted(
        (one for one in party.identifiers if not one.is_contact), key=lambda one: not one.is_vat
    )
    for one in ranked:
        if number := enterprise_number(one.value):
            return number
    return compact(ranked[0].value) if ranked else ""


def _amount(text: str) -> str:
    try:
        return str(Decimal(text.strip()).normalize())
    except InvalidOperation:
        return text.strip()


def _hash(*parts: str) -> int:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
