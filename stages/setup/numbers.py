"""Number reader: enterprise, VAT and account numbers as a spreadsheet leaves them.

A number that has lost its leading zero is taken if its check digits agree; one that Excel has
rounded is refused, for its last digits are gone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from stages.setup.problems import Trouble
from stages.values.identifiers import compact, company_identifier, iban
from stages.values.placeholders import is_placeholder

#: 1,23457E+09: how Excel shows, and saves, a long number in a narrow column.
_ROUNDED = re.compile(r"\d+(?:[.,]\d+)?E[+-]?\d{1,3}", re.IGNORECASE)
#: ="0403170701": how a program keeps Excel from taking a text for a number.
_FORMULA = re.compile(r'=\s*"(.*)"', re.DOTALL)
_DECIMALS = re.compile(r"[.,]0+$")
#: 12,00: a code that Excel took for a number; and 1,2E+04, which has lost digits.
_CODE = re.compile(r"[0-9]+[.,]([0-9]{1,2})")
_ROUNDED_CODE = re.compile(r"[0-9]+(?:[.,][0-9]+)?E[+-][0-9]{1,3}", re.IGNORECASE)
#: What tells Excel that a cell is a text; but not the article in 't Hoekje and 's-Gravenhage.
_TEXT_MARK = re.compile(r"'(?![dkmnrst](?:[ -]|$))", re.IGNORECASE)
_BETWEEN = re.compile(r"[;,|\r\n]+|\s+/\s+|\s+(?=[A-Z]{2}[0-9]{2}\s?[0-9A-Z])")
#: Digits of a Belgian number; Excel takes away a zero in front.
_LENGTHS = (9, 10)


def cell_text(text: str) -> str:
    """The text of a cell, without what tells Excel that it is one, and without needless spaces."""
    text = tidy(text)
    if match := _FORMULA.fullmatch(text):
        text = match[1].replace('""', '"')
    mark = _TEXT_MARK.match(text)
    return text[mark.end() :].strip() if mark else text.strip()


def tidy(text: str) -> str:
    """A text on one line, with single spaces, and with nothing that is not seen.

    Folders and messages bear it, and a mark that turns the letters around would do so there.
    """
    seen = (one for one in text if unicodedata.category(one) != "Cf")
    return " ".join("".join(one if one.isprintable() else " " for one in seen).split())


def are_whole(cells: Iterable[str]) -> bool:
    """Whether cells that look like numbers with decimals have none but zeros: codes, to Excel."""
    decimals = [match[1] for cell in cells if (match := _CODE.fullmatch(cell_text(cell)))]
    return bool(decimals) and not any(one.strip("0") for one in decimals)


def read_code(text: str, *, whole: bool) -> str:
    """A number or id of people's own. Raises Trouble if Excel has rounded it.

    whole: whether decimals are those that Excel has added.
    """
    text = cell_text(text)
    if _ROUNDED_CODE.fullmatch(text):
        raise Trouble("rounded", value=text)
    return _DECIMALS.sub("", text) if whole and _CODE.fullmatch(text) else text


def read_identifier(text: str) -> str:
    """The canonical form of an enterprise or VAT number. Raises Trouble."""
    text = cell_text(text)
    if not text:
        raise Trouble("no-number")
    if _ROUNDED.fullmatch(text):
        raise Trouble("rounded", value=text)
    if is_placeholder(text):
        raise Trouble("placeholder", value=text)
    for one in (text, _DECIMALS.sub("", text)):
        try:
            return company_identifier(one)
        except ValueError:
            continue
    digits = re.sub(r"\D", "", compact(text))
    if len(digits) not in _LENGTHS and digits == compact(text).removeprefix("BE"):
        raise Trouble("length", value=text)
    if digits:
        raise Trouble("check-digits", value=text)
    raise Trouble("not-a-number", value=text)


def read_accounts(text: str) -> tuple[str, ...]:
    """The IBANs of a cell, in which several may stand. Raises Trouble."""
    text = text.strip()
    found: list[str] = []
    for part in filter(None, map(cell_text, _BETWEEN.split(text))):
        try:
            found.append(iban(part))
        except ValueError:
            raise Trouble("account", value=part) from None
    return tuple(dict.fromkeys(found))
