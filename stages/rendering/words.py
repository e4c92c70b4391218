"""Words of rendering: labels and meanings of codes in Dutch, French and English; numbers and dates.

Days are ISO 8601 in all languages: nobody takes a month for a day, and they can be searched for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from msgspec import Struct

from stages.rendering.model import Value
from stages.rendering.paths import TABLES
from stages.values.dates import iso_date

LANGUAGES = ("nl", "fr", "en")
#: Stands between groups of three digits: a gap that is drawn and is no character of the text.
GAP = "\x01"

_DECIMAL = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?")
_MAX_DIGITS = 60
#: Digits of a number that is not split into groups.
_SHORT = 4

DATES = {f"BT-{n}" for n in (2, 7, 9, 26, 72, 73, 74, 134, 135)}
AMOUNTS = {
    f"BT-{n}"
    for n in (
        *(92, 93, 99, 100, *range(106, 118), 131, 136, 137, 141, 142),
        *(146, 147, 148),
    )
}
QUANTITIES = {"BT-129", "BT-149", "BT-149-1"}
PERCENTAGES = {f"BT-{n}" for n in (94, 96, 101, 103, 119, 138, 143, 152)}
#: The lists of the codes that have a meaning here, by term; by its own number where it is missing.
_CODE_LISTS = {
    **dict.fromkeys(("BT-95", "BT-102", "BT-118", "BT-151"), "vat"),
    **dict.fromkeys(("BT-130", "BT-150", "BT-150-1"), "unit"),
}


class Words(Struct, frozen=True):
    """Words of one language. language: "nl", "fr" or "en"."""

    language: str
    labels: Mapping[str, str]
    codes: Mapping[tuple[str, str], str]

    def label(self, key: str) -> str:
        """Return the label of a business term or of a part of the layout."""
        return self.labels[key]

    def label_of(self, value: Value) -> str:
        """Return the label of a value: of its term, or the name of its element."""
        return self.labels.get(value.term) or value.name

    def meaning(self, code_list: str, code: str) -> str:
        """Return what a code means, "" if that is not known."""
        return self.codes.get((code_list, code), "")

    def number(self, text: str, *, decimals: int = 0) -> str:
        """Return a decimal number in groups of digits, with at least so many decimals.

        What is no number is returned as it is.
        """
        match = _DECIMAL.fullmatch(text)
        if match is None or len(text) > _MAX_DIGITS:
            return text
        sign, whole, fraction = match.groups()
        if len(whole) > _SHORT:
            first = len(whole) % 3
            parts = [whole[:first]] if first else []
            whole = GAP.join([*parts, *(whole[i : i + 3] for i in range(first, len(whole), 3))])
        fraction = (fraction or "").ljust(decimals, "0")
        mark = "." if self.language == "en" else ","
        return f"{sign}{whole}{mark}{fraction}" if fraction else f"{sign}{whole}"

    def amount(self, text: str) -> str:
        """Return an amount with its decimals, two at least."""
        return self.number(text, decimals=2)

    def shown(self, value: Value, currency: str = "") -> str:
        """Return the text of a value as people read it, with what its attributes say.

        currency: of the document, which is left out behind amounts.
        """
        text, term = value.text, value.term
        qualifiers = list(value.qualifiers)
        if term in DATES:
            # Only the spelling of CII is changed: others may state a time or a zone.
            text = (text.isdigit() and iso_date(text)) or text
        elif term in AMOUNTS:
            text = self.amount(text)
            stated = value.qualifier("currencyID")
            qualifiers = [one for one in qualifiers if one[0] != "currencyID"]
            if stated and stated != currency:
                text = f"{text} {stated}"
        elif term in QUANTITIES:
            text = self.number(text)
        elif term in PERCENTAGES:
            text = f"{self.number(text)} %"
        elif meaning := self.meaning(_CODE_LISTS.get(term, term), text):
            text = f"{text} ({meaning})"
        said = "; ".join(filter(None, [self._qualifier(*one) for one in qualifiers]))
        return f"{text} ({said})" if said else text

    def _qualifier(self, name: str, text: str) -> str:
        if name == "schemeID":
            meaning = self.meaning("scheme", text)
            return f"{text} {meaning}" if meaning and meaning != text else text
        if name == "cut":
            return self.label("cut-value")
        return text if name in {"mimeCode", "currencyID"} else f"{name}: {text}"


@cache
def words(language: str) -> Words:
    """Return the words of a language: one of LANGUAGES."""
    column = LANGUAGES.index(language)
    labels = {row[0]: row[1 + column] for row in _rows("labels.tsv")}
    codes = {(row[0], row[1]): row[2 + column] for row in _rows("codes.tsv")}
    return Words(language, labels, codes)


def language_of(country: str, post_code: str) -> str:
    """Return the language that is most likely spoken at an address.

    country: as the invoice states it. In Belgium the post code tells; Brussels counts as French.
    """
    match country.strip().upper():
        case "NL":
            return "nl"
        case "FR" | "LU" | "MC":
            return "fr"
        case "BE" | "BEL":
            digits = re.search(r"[0-9]{4}", post_code)
            number = int(digits[0]) if digits else 0
            is_french = 1000 <= number < 1500 or 4000 <= number < 8000
            return "fr" if is_french else "nl" if digits else "en"
    return "en"


def _rows(name: str) -> list[list[str]]:
    text = (files(TABLES) / name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines()]
