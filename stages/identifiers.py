"""Enterprise, VAT and account numbers in the one spelling that is compared."""

from __future__ import annotations

import re

import stdnum.be.vat
import stdnum.eu.vat
import stdnum.iban
from stdnum.exceptions import ValidationError

#: What may stand before a Belgian number: the country, or a scheme of the Peppol and EAS code
#: lists (0208 the enterprise number, 9925 the Belgian VAT number) or of BIS 2.
_BELGIAN_PREFIX = re.compile(r"^(?:0208:|9925:|BE:CBE|BE:EN|BE:VAT|CBE|KBO|BCE|VAT|BE)+[:\s]*")


def company_identifier(text: str) -> str | None:
    """The canonical form of an enterprise or VAT number, or None if it is neither.

    Belgian in any usual spelling gives BE and ten digits (law of 16 January 2003: 0403.170.701);
    another country's VAT number gives its compact form with the country.
    """
    return enterprise_number(text) or foreign_vat_number(text)


def enterprise_number(text: str) -> str | None:
    """BE and ten digits for a valid Belgian enterprise or VAT number in any usual spelling."""
    digits = _BELGIAN_PREFIX.sub("", text.strip().upper())
    digits = re.sub(r"[\s.\-/]", "", digits)
    if not re.fullmatch(r"\d{9,10}", digits):
        return None
    try:
        return f"BE{stdnum.be.vat.validate(digits)}"
    except ValidationError:
        return None


def foreign_vat_number(text: str) -> str | None:
    """The compact form of a valid VAT number of another member state, with its country."""
    try:
        return str(stdnum.eu.vat.validate(text.strip()))
    except ValidationError:
        return None


def iban(text: str) -> str | None:
    """The compact form of a valid IBAN (ISO 13616), or None."""
    try:
        return str(stdnum.iban.validate(text))
    except ValidationError:
        return None
