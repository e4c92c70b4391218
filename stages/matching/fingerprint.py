"""What makes an invoice one and the same, by whichever route and in whichever form it comes."""

from __future__ import annotations

import hashlib
from decimal import Decimal

from msgspec import Struct

from stages.formats.cii import CREDIT_NOTES
from stages.formats.content import Invoice
from stages.matching.parties import Identifier, Party, spellings


class Identity(Struct, frozen=True):
    """Of an invoice or a credit note.

    supplier: one of its identifiers, the same in every form. issue_date: ISO 8601. type_code:
    UNTDID 1001. total: without zeros behind; of a credit note without its sign, which some write
    and some leave out.
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
    # Without its time zone (XML Schema, xs:date).
    issue_date = invoice.issue_date.strip()[:10]
    total = _amount(invoice.total, signed=invoice.type_code not in CREDIT_NOTES)
    if not (supplier and number and issue_date and total):
        return None
    return Identity(supplier, number, issue_date, invoice.type_code, total)


def _supplier(party: Party) -> str:
    """A VAT number before any other, for it is in every form of an invoice.

    A Belgian one is that of the enterprise; of a Belgian supplier any number is taken that says so.
    """
    known = [one for one in party.identifiers if not one.is_contact]
    vat = [one for one in known if one.is_vat]
    keys = [_key(one, party.country) for one in (vat or known)]
    return next((key for key in keys if key.startswith("BE")), keys[0] if keys else "")


def _key(identifier: Identifier, country: str) -> str:
    """One spelling for each number: BE and ten digits, or another with what says whose it is."""
    foreign = len(country) == 2 and country.upper() != "BE"
    keys = list(spellings(identifier, country.upper(), foreign=foreign))
    # The last is with its country, where that does not stand in it; see spellings().
    return keys[0] if keys[0].startswith("BE") or not keys[-1].startswith("*:") else keys[-1]


def _amount(text: str, *, signed: bool) -> str:
    """Empty where there is none."""
    try:
        amount = Decimal(text.strip()).normalize()
    except ArithmeticError:
        return text.strip()
    return str(amount if signed and amount else abs(amount))


def _hash(*parts: str) -> int:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
