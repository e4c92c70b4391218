"""Schemes: which register or country a number is of, by the code lists of EN 16931 and their names.

The lists are ISO 6523 (ICD), the electronic address schemes (EAS), and what UBL, CII and ISO 20022
have instead. A number may also bear its scheme, its country or words in front of it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from stages.values.identifiers import (
    BELGIAN_PREFIX,
    BELGIAN_SCHEMES,
    compact,
    enterprise_number,
)
from stages.values.text import plain

#: Schemes that don't tell the country: none at all; those of tax numbers (UNTDID 1153 VA, UN/ECE
#: 5153 in UBL 2.0); those of tax numbers and of companies in ISO 20022.
OPEN_SCHEMES = {"", "VA", "VAT", "BTW", "TVA", "UN/ECE 5153", "TXID", "COID"}
#: Schemes of the EAS code list that are VAT numbers of one country.
VAT_SCHEMES = {
    "9910": "HU",
    "9914": "AT",
    "9920": "ES",
    "9922": "AD",
    "9923": "AL",
    "9924": "BA",
    "9926": "BG",
    "9927": "CH",
    "9928": "CY",
    "9929": "CZ",
    "9930": "DE",
    "9931": "EE",
    "9932": "GB",
    "9933": "EL",
    "9934": "HR",
    "9935": "IE",
    "9936": "LI",
    "9937": "LT",
    "9938": "LU",
    "9939": "LV",
    "9940": "MC",
    "9941": "ME",
    "9942": "MK",
    "9943": "MT",
    "9944": "NL",
    "9945": "PL",
    "9946": "PT",
    "9947": "RO",
    "9948": "RS",
    "9949": "SI",
    "9950": "SK",
    "9951": "SM",
    "9952": "TR",
    "9955": "SE",
    "9957": "FR",
}
#: Other names of schemes of the ISO 6523 code list.
SAME_SCHEMES = {
    name: scheme
    for scheme, names in {
        "0002": ("SIREN", "SIRENE", "FR:SIRENE"),
        "0007": ("SE:ORGNR",),
        "0009": ("SIRET", "FR:SIRET"),
        "0060": ("DUNS",),
        "0088": ("GLN", "EAN", "ILN", "GS1"),
        "0106": ("KVK", "NL:KVK"),
        "0184": ("CVR", "DK:CVR"),
        "0190": ("OIN", "NL:OIN"),
        "0192": ("NO:ORGNR",),
        "0199": ("LEI",),
    }.items()
    for name in names
}

#: Schemes of numbers for taxes, which are VAT numbers if a country stands in front of them.
TAX_SCHEMES = {"VA", "VAT", "BTW", "TVA", "UN/ECE 5153"}
#: Schemes of the former lists, and of VAT numbers among the company numbers: by the one of today.
FORMER_SCHEMES = {
    "9902": "0184",
    "9905": "0106",
    "9906": "0211",
    "9907": "0210",
    "9908": "0192",
    "9954": "0190",
    "9956": "0208",
    "9958": "0204",
}
#: Schemes of ISO 6523 that are VAT numbers of one country, beside those of EAS.
ICD_VAT_SCHEMES = {"0211": "IT", "0213": "FI", "9906": "IT", "9909": "NO"}
#: Schemes of addresses of people and machines, which are no numbers of a register.
ADDRESS_SCHEMES = {"EM", "EMAIL", "E-MAIL", "MAIL", "SMTP", "MAILTO", "AQ", "AS", "AN", "0202"}

#: A scheme in front of the value itself, as in a Peppol participant identifier (0208:0403170701).
_SCHEME = re.compile(
    r"^(?:ISO6523-ACTORID-UPIS::?|URN:OASIS:NAMES:TC:EBCORE:PARTYID-TYPE:ISO6523:)?([0-9]{4}):(?=.)"
)
#: A code as the end of a longer name: that of its list, or a URN of ebCore.
_LISTED = re.compile(r"(?:.*ISO[-_ ]?6523[A-Z_-]*|ICD|EAS)[:/ _-]+([0-9]{4})")
_CODE = re.compile(r"[0-9]{1,4}")
#: A country and what its number is, as BIS 2 has them, with another sign between.
_BIS_2 = re.compile(r"([A-Z]{2})[-_./ ](VAT|CBE|KBO|BCE|EN)")

#: What people call numbers: in front of one, or in place of its scheme.
_NAMES = {
    "VAT": {"VAT", "VATIN", "BTW", "TVA", "MWST", "UST", "USTID", "USTIDNR", "USTIDENTNR", "IVA"},
    "KBO": {
        *("KBO", "BCE", "CBE", "RPR", "RPM", "KRUISPUNTBANK", "CARREFOUR", "ENTERPRISE"),
        *("ONDERNEMING", "ONDERNEMINGSNUMMER", "ONDERNEMINGSNR", "ENTREPRISE", "ENTREPRISES"),
        *("UNTERNEHMENSNUMMER", "UNTERNEHMENSNR"),
    },
    "GLN": {"GLN", "EAN", "ILN"},
    **{name: {name} for name in ("KVK", "SIREN", "SIRET", "DUNS", "LEI", "CVR")},
    "": {"NR", "NUMMER", "NUMBER", "NUMERO"},
}
_NAMED = {word: scheme for scheme, words in _NAMES.items() for word in words}
_WORDS = re.compile(r"[^\W\d_]+")
#: The countries of VAT numbers, but for Norway, whose code is also short for a number.
_COUNTRY = "|".join(sorted({*VAT_SCHEMES.values(), "BE", "DK", "FI", "GR", "IT", "XI", "CHE"}))
#: Words, and then a number with or without its country.
_BEHIND_WORDS = re.compile(rf"([^0-9@]*?[^0-9A-Z@])((?:(?:{_COUNTRY})[\W_]*)?[0-9][^@]*)")
_VAT_NAME = re.compile(r"([A-Z]{2}):VAT")
#: A VAT number that begins with a country (EN 16931, BR-CO-9).
WITH_COUNTRY = re.compile(r"[A-Z]{2}[0-9A-Z]*[0-9]")
#: Prefixes that say that a number is a Belgian one.
_BELGIAN = re.compile(
    r"(?:(?:(?:VAT|BTW|TVA)(?:NR|NO)?|EN|ON|RPR|RPM):?)*"
    r"(?:(?:0208|9925|9956):|(?:BE|CBE|KBO|BCE):?(?:[A-Z]{2,3}:?)*[0-9])"
)
#: Words in front of a VAT number that are no part of it; suffixes of Norwegian and Swiss ones.
_WORD = re.compile(r"^(?:VAT|BTW|TVA)(?:NR|NO)?:?(?=[A-Z]{0,3}[0-9])")
_SUFFIX = re.compile(r"^(NO[0-9]{9})MVA$|^(CHE[0-9]{9})(?:MWST|TVA|IVA)$")


def scheme_and_number(scheme: str, value: str) -> tuple[str, str]:
    """Return the scheme of a number, in capitals, and the number itself, compact().

    A scheme in front of the value is surer than the one beside it. Words in front that say which
    number it is are left out, and tell the scheme where none is stated.
    """
    value = plain(value).upper()
    if ":" in value and (match := _SCHEME.match(value)):
        return match[1], compact(value[match.end() :])
    named = ""
    if not (value[:1].isdigit() or value.isalnum()) and (match := _BEHIND_WORDS.fullmatch(value)):
        words = [_NAMED[word] for word in _words(match[1]) if word in _NAMED]
        if words:
            value, named = match[2], next(filter(None, words), "")
    number = compact(value)
    stated = _stated_scheme(scheme) or named
    # Other countries have enterprises, too.
    if stated == "KBO" and scheme.upper() != stated and enterprise_number(number) is None:
        stated = plain(scheme).upper()
    return stated, number


@lru_cache(1024)
def _stated_scheme(scheme: str) -> str:
    """Return a scheme in capitals, as the code lists have it, whatever people call it."""
    stated = plain(scheme).upper()
    if stated in OPEN_SCHEMES or stated in BELGIAN_SCHEMES or stated in SAME_SCHEMES:
        return stated
    if match := _LISTED.fullmatch(stated):
        return match[1]
    if _CODE.fullmatch(stated):
        return stated.zfill(4)
    if match := _BIS_2.fullmatch(stated):
        return f"{match[1]}:{match[2]}"
    if stated.isalpha() or ":" in stated:
        return _NAMED.get(stated) or stated
    return next(filter(None, map(_NAMED.get, _words(stated))), None) or stated


def _words(text: str) -> list[str]:
    """Return the words of a text, without accents."""
    parts = unicodedata.normalize("NFKD", text)
    return _WORDS.findall("".join(one for one in parts if not unicodedata.combining(one)))


def same_scheme(scheme: str) -> str:
    """Return the one name of a scheme, "" for one that doesn't tell the register."""
    return "" if scheme in OPEN_SCHEMES else SAME_SCHEMES.get(scheme, scheme)


def vat_country(scheme: str) -> str:
    """Return the country whose VAT numbers have this scheme, "" for other schemes."""
    if country := VAT_SCHEMES.get(scheme):
        return country
    match = _VAT_NAME.fullmatch(scheme)
    return match[1] if match else ""


def states_belgium(scheme: str, bare: str) -> bool:
    """Whether scheme or prefix say that a compact number is a Belgian one."""
    return scheme in BELGIAN_SCHEMES or _BELGIAN.match(bare) is not None


def belgian(bare: str) -> str:
    """Return BE and ten digits; the check digits may be wrong, as in test documents."""
    if number := enterprise_number(bare):
        return number
    digits = BELGIAN_PREFIX.sub("", bare)
    return f"BE{digits:0>10}"


def plain_number(bare: str) -> str:
    """Return one spelling for each number, without words and suffixes around VAT numbers."""
    number = _WORD.sub("", bare)
    if match := _SUFFIX.match(number):
        number = match[1] or match[2]
    return f"EL{number[2:]}" if number.startswith("GR") and number[2:].isdecimal() else number
