"""Enterprise, VAT and account numbers in the one spelling that is compared."""

from __future__ import annotations

import re
from functools import lru_cache

import stdnum.be.vat
import stdnum.eu.vat
import stdnum.iban
from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError

_PUNCTUATION = re.compile(r"[\s.\-/]")

#: What may stand before a Belgian number: the country, what such numbers are called, or a scheme
#: of the EAS code list (0208 and the former 9956 the enterprise number, 9925 the VAT number) or of
#: BIS 2 (BE:CBE, BE:EN, BE:VAT).
BELGIAN_PREFIX = re.compile(r"^(?:(?:0208|9925|9956):|(?:BE|CBE|KBO|BCE|EN|VAT|BTW|TVA):?)+")

#: Schemes that say that a number is a Belgian one: of the EAS code list (0208 and the former 9956
#: the enterprise number, 9925 the VAT number), of BIS 2, and the register's own names.
BELGIAN_SCHEMES = {
    *("0208", "9925", "9956"),
    *("BE:CBE", "BE:EN", "BE:VAT", "BE:KBO", "BE:BCE", "BE"),
    *("CBE", "KBO", "BCE", "KBO-BCE", "BCE-KBO", "KBO/BCE", "BCE/KBO"),
}


@lru_cache(4096)  # the same companies come again and again
def enterprise_number(text: str) -> str | None:
    """BE and ten digits for a valid Belgian enterprise or VAT number in any usual spelling.

    The number is of the law of 16 January 2003, usually written 0403.170.701; older ones of nine
    digits get the zero that they have lost.
    """
    digits = _belgian_digits(text)
    if not re.fullmatch(r"[0-9]{9,10}", digits):
        return None
    try:
        return f"BE{stdnum.be.vat.validate(digits)}"
    except ValidationError:
        return None


def company_identifier(text: str) -> str:
    """The canonical form of an enterprise number, or of a VAT number of any member state.

    Raises ValueError with what is wrong and what would be right.
    """
    if number := enterprise_number(text):
        return number
    digits = _belgian_digits(text)
    right = 'write it like "BE0403170701" or "0403.170.701"'
    try:
        if digits.isdigit():
            return f"BE{stdnum.be.vat.validate(digits)}"
        return str(stdnum.eu.vat.validate(text.strip()))
    except InvalidLength:
        raise ValueError(f'"{text}" has too few or too many digits; {right}') from None
    except InvalidChecksum:
        raise ValueError(f'"{text}" has wrong check digits; compare it with an invoice') from None
    except ValidationError:
        raise ValueError(f'"{text}" is no enterprise number and no VAT number; {right}') from None


def iban(text: str) -> str:
    """The compact form of an IBAN (ISO 13616). Raises ValueError with what is wrong."""
    try:
        # Without the check of its country, which knows only the banks of the day it was written.
        return str(stdnum.iban.validate(text.upper(), check_country=False))
    except ValidationError:
        # A wrong length fails the check digits as well: the two can't be told apart.
        raise ValueError(f'"{text}" is no valid IBAN; compare it with a statement') from None


def compact(text: str) -> str:
    """Capital letters, without spaces, dots, dashes and slashes."""
    return _PUNCTUATION.sub("", text.upper())


def _belgian_digits(text: str) -> str:
    return BELGIAN_PREFIX.sub("", compact(text))
