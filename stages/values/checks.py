"""Check digits: whether a number can be one of its register, by the rules of python-stdnum.

The modules of a country are imported when its first number comes: there are many, and most
documents are of a few countries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

import stdnum.be.vat

#: The modules that know VAT numbers, by the country in front of the number.
VAT_MODULES = {
    "AT": "at.uid",
    "BG": "bg.vat",
    "CY": "cy.vat",
    "CZ": "cz.dic",
    "DE": "de.vat",
    "DK": "dk.cvr",
    "EE": "ee.kmkr",
    "EL": "gr.vat",
    "ES": "es.nif",
    "FI": "fi.alv",
    "FR": "fr.tva",
    "HR": "hr.oib",
    "HU": "hu.anum",
    "IE": "ie.vat",
    "IT": "it.iva",
    "LT": "lt.pvm",
    "LU": "lu.tva",
    "LV": "lv.pvn",
    "MT": "mt.vat",
    "NL": "nl.btw",
    "PL": "pl.nip",
    "PT": "pt.nif",
    "RO": "ro.cf",
    "SE": "se.vat",
    "SI": "si.ddv",
    "SK": "sk.dph",
    "GB": "gb.vat",
    "XI": "gb.vat",
    "IM": "gb.vat",
    "CH": "ch.uid",
    "NO": "no.orgnr",
    "MC": "mc.tva",
    "RS": "rs.pib",
    "ME": "me.pib",
    "MK": "mk.edb",
    "AL": "al.nipt",
    "AD": "ad.nrt",
    "TR": "tr.vkn",
    "BE": "be.vat",
}
#: What may stand around a VAT number of some countries, beside the country.
_AROUND = {
    "CH": re.compile(r"(?:CHE|CH)?([0-9]{9})(?:MWST|TVA|IVA)?"),
    "MC": re.compile(r"(?:MC|FR)?([0-9A-Z]{2}[0-9]{9})"),
    "NO": re.compile(r"(?:NO)?([0-9]{9})(?:MVA)?"),
}

#: What python-stdnum wants before such a number; its later versions do without.
_BEFORE = {"CH": "CHE"}

#: What numbers of a scheme look like, where they have no check digits.
_SHAPES = {
    "0060": re.compile(r"[0-9]{9}"),  # DUNS
    "0106": re.compile(r"[0-9]{8}"),  # Dutch chamber of commerce
    "0190": re.compile(r"[0-9]{20}"),  # Dutch government
    "0201": re.compile(r"[0-9A-Z]{6,7}"),  # Italian public offices
    "0205": re.compile(r"[0-9A-Z]{6,7}"),  # Italian recipients
}
#: The modules that know the numbers of a scheme, and what of the number they check.
_CHECKED: dict[str, tuple[str, re.Pattern[str]]] = {
    "0002": ("fr.siren", re.compile(r"([0-9]{9})(?:[0-9]{5})?")),  # or that of a branch
    "0007": ("se.orgnr", re.compile(r"(?:SE)?([0-9]{10})(?:01)?")),
    "0009": ("fr.siret", re.compile(r"([0-9]{14})")),
    "0037": ("fi.ytunnus", re.compile(r"(?:0037|FI)?([0-9]{8})[0-9A-Z]{0,5}")),
    "0088": ("ean", re.compile(r"([0-9]{13})")),
    "0151": ("au.abn", re.compile(r"([0-9]{11})")),
    "0183": ("ch.uid", re.compile(r"(CHE[0-9]{9})(?:MWST|TVA|IVA|HR)?")),
    "0184": ("dk.cvr", re.compile(r"(?:DK)?([0-9]{8})")),
    "0191": ("ee.registrikood", re.compile(r"([0-9]{8})")),
    "0192": ("no.orgnr", re.compile(r"(?:NO)?([0-9]{9})(?:MVA)?")),
    "0196": ("is_.kennitala", re.compile(r"([0-9]{10})")),
    "0198": ("dk.cvr", re.compile(r"(?:DK)?([0-9]{8})")),
    "0199": ("lei", re.compile(r"([0-9A-Z]{20})")),
    "0209": ("ean", re.compile(r"([0-9]{13})[0-9A-Z]*")),
    "0211": ("it.iva", re.compile(r"(?:IT)?([0-9]{11})")),
    "0213": ("fi.alv", re.compile(r"(?:FI)?([0-9]{8})")),
    "0218": ("lv.pvn", re.compile(r"(?:LV)?([0-9]{11})")),
    "0225": ("fr.siren", re.compile(r"([0-9]{9})[0-9A-Z]*")),
    "9904": ("dk.cvr", re.compile(r"(?:DK)?([0-9]{8})")),
    "9909": ("no.orgnr", re.compile(r"(?:NO)?([0-9]{9})(?:MVA)?")),
    "9918": ("iban", re.compile(r"([A-Z]{2}[0-9]{2}[0-9A-Z]{8,30})")),
}
_CHECKED["0212"] = _CHECKED["0216"] = _CHECKED["0037"]

#: A German address of public offices: a coarse part, a fine part, and two check digits.
_LEITWEG = re.compile(r"[0-9]{2,12}[0-9A-Z]{0,30}[0-9]{2}")


def vat_number_holds(country: str, number: str) -> bool | None:
    """Whether the check digits of a VAT number are right, None if nobody knows its rule.

    country: ISO 3166-1, EL for Greece. number: compact, with or without its country in front.
    """
    name = VAT_MODULES.get(country)
    if name is None:
        return None
    if around := _AROUND.get(country):
        match = around.fullmatch(number)
        return match is not None and _holds(name, _BEFORE.get(country, "") + match[1])
    return _holds(name, number.removeprefix(country))


def scheme_holds(scheme: str, number: str) -> bool | None:
    """Whether a compact number is as its scheme wants it, None if nobody knows the rule."""
    if shape := _SHAPES.get(scheme):
        return shape.fullmatch(number) is not None
    if scheme == "0204":
        return _is_leitweg(number)
    if scheme == "0210":
        # Of a person sixteen signs, of a company its VAT number.
        bare = number.removeprefix("IT")
        return _holds("it.codicefiscale" if len(bare) == 16 else "it.iva", bare)
    if scheme not in _CHECKED:
        return None
    name, pattern = _CHECKED[scheme]
    match = pattern.fullmatch(number)
    return match is not None and _holds(name, match[1]) is not False


def _holds(module: str, number: str) -> bool | None:
    """Ask a module of python-stdnum; None if this version doesn't have it."""
    if not number.isascii():
        return False
    if module == "be.vat":
        return bool(stdnum.be.vat.is_valid(number))
    try:
        is_valid: Callable[[str], bool] = import_module(f"stdnum.{module}").is_valid
    except ImportError:
        return None
    return bool(is_valid(number))


def _is_leitweg(number: str) -> bool:
    """Whether the last two digits of a Leitweg-ID are right (ISO 7064, modulo 97)."""
    if not _LEITWEG.fullmatch(number):
        return False
    return int("".join(str(int(sign, 36)) for sign in number)) % 97 == 1
