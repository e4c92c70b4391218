"""Identity: whether a number really identifies a party, of which register it is, in one spelling.

What is found here decides what is taken for the same supplier, so a doubt is a no.
"""

from __future__ import annotations

import re
from functools import lru_cache

from stages.values.checks import VAT_MODULES, scheme_holds, vat_number_holds
from stages.values.identifiers import enterprise_number
from stages.values.placeholders import is_placeholder
from stages.values.schemes import (
    ADDRESS_SCHEMES,
    FORMER_SCHEMES,
    ICD_VAT_SCHEMES,
    OPEN_SCHEMES,
    TAX_SCHEMES,
    WITH_COUNTRY,
    belgian,
    plain_number,
    same_scheme,
    scheme_and_number,
    states_belgium,
    vat_country,
)

__all__ = ["canonical_number", "identifies", "is_placeholder", "number_kind"]

#: The kinds of numbers that are not called by their scheme.
VAT = "vat"
ENTERPRISE = "enterprise"

#: Letters and digits of a number that identifies somebody, at least, if its rule is not known.
_SHORTEST = 5
#: Digits among them, at least: words may cite an article of a law.
_FEWEST = 3
#: A code of ISO 6523, or of EAS.
_ICD = re.compile(r"[0-9]{4}")
#: What is taken for a VAT number where nothing says that it is one: HRB 123 is not of Croatia.
_LIKE_VAT = re.compile(r"[A-Z]{2}[A-Z]?[0-9]{7,}[0-9A-Z]*")
#: Schemes of Belgian VAT numbers, among those of Belgian numbers.
_BELGIAN_VAT = {"9925", "BE:VAT"}
#: What stands in front of VAT numbers of a country, if it is more than the country.
_FRONTS = {"CH": "CHE"}
#: Countries that some write in front of a number of their register.
_HOMES = {"0007": "SE", "0184": "DK", "0192": "NO", "0198": "DK"}


@lru_cache(4096)
def identifies(scheme: str, value: str, country: str = "", is_vat: bool = False) -> bool:
    """Whether a number really identifies a party, and could be tested where it has check digits.

    country: of the party, "" if it is not known. is_vat: whether its place holds VAT numbers only.
    An address of a person, a placeholder and a number with wrong check digits identify nobody.
    """
    stated, number = scheme_and_number(scheme, value)
    if "@" in value or stated in ADDRESS_SCHEMES or is_placeholder(value):
        return False
    country = _country(country)
    holds = _holds(stated, number, country, is_vat)
    if holds is not None:
        return holds
    digits = sum(map(str.isdigit, number))
    return digits >= _FEWEST and sum(map(str.isalnum, number)) >= _SHORTEST


@lru_cache(4096)
def number_kind(scheme: str, value: str, country: str = "", is_vat: bool = False) -> str:
    """Return which register a number is of, by a short name; "" if that is not known.

    It is "vat", "enterprise" for the Belgian register, or a code of ISO 6523. A Belgian VAT number
    has the digits of an enterprise number, and yet is of another kind: companies of a VAT unit
    share it.
    """
    stated, number = scheme_and_number(scheme, value)
    country = _country(country)
    if stated in ADDRESS_SCHEMES or "@" in value:
        return ""
    if is_vat or stated in _BELGIAN_VAT or stated in TAX_SCHEMES or _home(stated):
        return VAT
    if states_belgium(stated, number):
        return ENTERPRISE
    if stated not in OPEN_SCHEMES:
        code = FORMER_SCHEMES.get(same := same_scheme(stated), same)
        return code if _ICD.fullmatch(code) else ""
    if country in {"", "BE"} and enterprise_number(number):
        return ENTERPRISE
    prefix = _prefix(plain_number(number))
    return VAT if prefix and vat_number_holds(prefix, plain_number(number)) else ""


@lru_cache(4096)
def canonical_number(scheme: str, value: str, country: str = "", is_vat: bool = False) -> str:
    """Return the one spelling of a number: BE and ten digits, a country and its VAT number, ...

    Numbers of the same kind, as number_kind() has it, are the same if and only if this is.
    """
    stated, number = scheme_and_number(scheme, value)
    country = _country(country)
    if states_belgium(stated, number):
        return belgian(number)
    bare = plain_number(number)
    if number_kind(scheme, value, country, is_vat) == VAT:
        home = _home(stated) or country
        if not home or WITH_COUNTRY.match(bare):
            return (enterprise_number(number) if bare.isdecimal() else None) or bare
        if home == "BE" and bare.isdecimal():
            return belgian(bare)
        return plain_number(_FRONTS.get(home, home) + bare)
    if stated in OPEN_SCHEMES and country in {"", "BE"} and (known := enterprise_number(number)):
        return known
    code = same_scheme(stated)
    return bare.removeprefix(_HOMES.get(FORMER_SCHEMES.get(code, code), ""))


def _holds(stated: str, number: str, country: str, is_vat: bool) -> bool | None:
    """Whether a number is as its scheme or country wants it, None if nobody knows the rule."""
    if states_belgium(stated, number):
        return enterprise_number(number) is not None
    bare = plain_number(number)
    code = same_scheme(stated)
    if not is_vat and (holds := scheme_holds(FORMER_SCHEMES.get(code, code), number)) is not None:
        return holds
    if not (is_vat or stated in OPEN_SCHEMES or _home(stated)):
        return None
    is_stated = is_vat or stated in TAX_SCHEMES or bool(_home(stated))
    home = _home(stated) or _prefix(bare) or (country if is_stated else "")
    if home and (is_stated or _LIKE_VAT.fullmatch(bare)):
        return vat_number_holds(home, bare)
    # Ten digits of a Belgian party are its enterprise number, or nobody knows what.
    if country == "BE" and len(bare) in {9, 10} and bare.isdecimal():
        return enterprise_number(bare) is not None
    return None


def _home(scheme: str) -> str:
    """Return the country whose VAT numbers have this scheme, "" for other schemes."""
    return vat_country(scheme) or ICD_VAT_SCHEMES.get(scheme, "")


def _prefix(number: str) -> str:
    """Return the country in front of a VAT number, "" if there is none whose rule is known."""
    if not WITH_COUNTRY.match(number):
        return ""
    return number[:2] if number[:2] in VAT_MODULES else ""


def _country(country: str) -> str:
    """Return a country as VAT numbers have it."""
    stated = country.strip().upper()
    return "EL" if stated == "GR" else stated
