"""Fingerprint: what makes an invoice the same one, by whichever route and in whichever form."""

from __future__ import annotations

from decimal import Decimal

from stages.formats.cii import CREDIT_NOTES
from stages.formats.content import Invoice
from stages.formats.party import Identifier, Party
from stages.matching.parties import lookup_keys
from stages.model import Fingerprint


def fingerprint(invoice: Invoice) -> Fingerprint | None:
    """The fingerprint of an invoice; None where something that it is made of is missing."""
    supplier = _supplier(invoice.supplier)
    number = " ".join(invoice.number.split())
    # Without its time zone (XML Schema, xs:date).
    issue_date = invoice.issue_date.strip()[:10]
    total = _amount(invoice.total, signed=invoice.type_code not in CREDIT_NOTES)
    if not (supplier and number and issue_date and total):
        return None
    return Fingerprint(supplier, number, issue_date, invoice.type_code, total)


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
    keys = list(lookup_keys(identifier, country.upper(), foreign=foreign))
    # The last is with its country, where that does not stand in it; see lookup_keys().
    return keys[0] if keys[0].startswith("BE") or not keys[-1].startswith("*:") else keys[-1]


def _amount(text: str, *, signed: bool) -> str:
    """Empty where there is none."""
    try:
        amount = Decimal(text.strip()).normalize()
    except ArithmeticError:
        return text.strip()
    return str(amount if signed and amount else abs(amount))
