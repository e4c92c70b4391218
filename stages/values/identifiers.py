"""Identifier normalisation: enterprise, VAT and account numbers in their canonical form."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import stdnum.be.vat
import stdnum.eu.vat
import stdnum.iban
from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError

from stages.values.text import plain

#: Punctuation of numbers in ASCII, and control characters.
_PUNCTUATION = re.compile(r"[\x00-\x20.,;*|\-/\\()\[\]\x7f]")
#: The same in numbers that are no addresses, in which they tell one from another.
_IN_NUMBERS = re.compile(r"['`_]")
#: Dashes, dots, slashes and apostrophes of other scripts that Unicode calls neither dashes (Pd)
#: nor connectors (Pc).
_SIGNS = frozenset(
    "\u2212\u02d7\u2043"  # dashes
    "\u00b7\u0387\u05c1\u2022\u2024\u2027\u2219\u22c5\u2e31\u2e33\u3002\u30fb\uff65\u06d4"  # dots
    "\u25cf\u25e6\u2981\u1427"  # dots as large as bullets
    "\u060c\u3001\u2044\u2215\u29f8"  # commas and slashes
    "\u2018\u2019\u201a\u201b\u2032\u02b9\u02bb\u02bc\u02bd\u02c8\u00b4"  # apostrophes
)

#: Prefixes of Belgian numbers: the country, names of such numbers, or schemes of the EAS code list
#: (0208 and the former 9956 for enterprise numbers, 9925 for VAT numbers) and of BIS 2 (BE:CBE,
#: BE:EN, BE:VAT).
BELGIAN_PREFIX = re.compile(
    r"^(?:(?:0208|9925|9956):|(?:BE|CBE|KBO|BCE|EN|ON|RPR|RPM|(?:VAT|BTW|TVA)(?:NR|NO)?):?)+"
)

#: The register and its court, as they stand behind the number on letterheads.
_REGISTER = re.compile(r"(?:RPR|RPM|KBO|BCE)[^0-9]*$")

#: Schemes of Belgian numbers: those of the EAS code list and of BIS 2, as above, and the names of
#: the register itself.
BELGIAN_SCHEMES = {
    *("0208", "9925", "9956"),
    *("BE:CBE", "BE:EN", "BE:VAT", "BE:KBO", "BE:BCE", "BE"),
    *("CBE", "KBO", "BCE", "KBO-BCE", "BCE-KBO", "KBO/BCE", "BCE/KBO"),
}


@lru_cache(4096)  # most documents name the same few companies
def enterprise_number(text: str) -> str | None:
    """Return BE and ten digits for a Belgian enterprise or VAT number in any usual spelling.

    None if it is not valid. The number (law of 16 January 2003) is usually written 0403.170.701;
    older ones of nine digits get a zero in front.
    """
    digits = _belgian_digits(text)
    if not re.fullmatch(r"[0-9]{9,10}", digits):
        return None
    try:
        return f"BE{stdnum.be.vat.validate(digits)}"
    except ValidationError:
        return None


def company_identifier(text: str) -> str:
    """Return the canonical form of an enterprise number, or of a VAT number of any member state.

    ValueError says what is wrong and how to write it.
    """
    if number := enterprise_number(text):
        return number
    digits = _belgian_digits(text)
    right = 'write it like "BE0403170701" or "0403.170.701"'
    try:
        if digits.isdigit():
            return f"BE{stdnum.be.vat.validate(digits)}"
        return str(stdnum.eu.vat.validate(compact(text)))
    except InvalidLength:
        raise ValueError(f'"{text}" has too few or too many digits; {right}') from None
    except InvalidChecksum:
        raise ValueError(f'"{text}" has wrong check digits; compare it with an invoice') from None
    except ValidationError:
        raise ValueError(f'"{text}" is no enterprise number and no VAT number; {right}') from None


def iban(text: str) -> str:
    """Return the compact form of an IBAN (ISO 13616). ValueError says what is wrong."""
    try:
        # The check by country is left out: it knows only the banks of the time it was written.
        return str(stdnum.iban.validate(compact(text), check_country=False))
    except ValidationError:
        # A wrong length makes the check digits fail as well: the cause can't be told.
        raise ValueError(f'"{text}" is no valid IBAN; compare it with a statement') from None


def compact(text: str) -> str:
    """Return a number in capital letters and ASCII digits, without punctuation.

    What goes is what Unicode calls format characters, dashes of every kind, dots, commas, spaces,
    slashes, and underscores and apostrophes unless the text is an address (it has an "@").
    """
    if text.isascii():
        if text.isalnum():
            return text.upper()
    else:
        # Capitals may have accents of their own, which are composed again.
        text = "".join(map(_sign, plain(plain(text).upper())))
    bare = _PUNCTUATION.sub("", text.upper())
    return bare if "@" in bare else _IN_NUMBERS.sub("", bare)


def _sign(sign: str) -> str:
    """Return a sign of a number, "" if it is only punctuation; digits of any script in ASCII."""
    if sign.isascii():
        return sign
    category = unicodedata.category(sign)
    if category == "Nd":
        return str(unicodedata.decimal(sign))
    return "" if category in {"Pd", "Pc", "Mn", "Me"} or sign in _SIGNS else sign


def _belgian_digits(text: str) -> str:
    return _REGISTER.sub("", BELGIAN_PREFIX.sub("", compact(text)))
