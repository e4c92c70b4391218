"""Invoice fingerprint: equal for the same invoice, whatever route and format it came in."""

from __future__ import annotations

from decimal import Decimal

from stages.formats.cii import CREDIT_NOTES
from stages.formats.content import Invoice
from stages.formats.party import Identifier, Party
from stages.matching.parties import lookup_keys
from stages.model import Fingerprint


def fingerprint(invoice: Invoice) -> Fingerprint | None:
    """Return the fingerprint of an invoice, None if any part of it is missing."""
    supplier = _supplier(invoice.supplier)
    number = " ".join(invoice.number.split())
    # An xs:date may have a time zone after it, which other formats don't state.
    issue_date = invoice.issue_date.strip()[:10]
    total = _amount(invoice.total, signed=invoice.type_code not in CREDIT_NOTES)
    if not (supplier and number and issue_date and total):
        return None
    return Fingerprint(supplier, number, issue_date, invoice.type_code, total)


def _supplier(party: Party) -> str:
    """Return the identifier that is the same in every format of an invoice, "" if there is none.

    A VAT number comes before any other, because every format has it. A Belgian VAT number is the
    enterprise number; for a Belgian supplier any identifier is used that gives it.
    """
    known = [one for one in party.identifiers if not one.is_contact]
    vat = [one for one in known if one.is_vat]
    keys = [_key(one, party.country) for one in (vat or known)]
    return next((key for key in keys if key.startswith("BE")), keys[0] if keys else "")


def _key(identifier: Identifier, country: str) -> str:
    """Return one spelling for each number: BE and ten digits, or its scheme or country with it."""
    foreign = len(country) == 2 and country.upper() != "BE"
    keys = list(lookup_keys(identifier, country.upper(), foreign=foreign))
    # The last key has the country in front if the number lacks it: see lookup_keys().
    return keys[0] if keys[0].startswith("BE") or not keys[-1].startswith("*:") else keys[-1]


def _amount(text: str, *, signed: bool) -> str:
    """Return an amount without trailing zeros, "" if there is none; unsigned unless `signed`."""
    try:
        amount = Decimal(text.strip()).normalize()
    except ArithmeticError:
        return text.strip()
    return str(amount if signed and amount else abs(amount))
