"""Amount normalisation: amounts as numbers, and numbers in one spelling."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from stages.values.text import plain

#: Characters of an amount, and digits before or behind its point, at most.
_LONGEST = 64
#: As xs:decimal, which has a point and neither exponent nor infinity.
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
#: An amount that is spelt so already, but for zeros at the end.
_PLAIN = re.compile(r"(?:0|[1-9][0-9]{0,15})(?:\.([0-9]{0,15}))?")
_MINUS = "\u2212"
#: With at most one sign, and no others than digits beside it.
_SINGLE = re.compile(r"(?=[.,]?[0-9])[0-9]*(?:[.,][0-9]*)?")
#: One to three digits, a sign and three digits: the sign may stand for thousands or for decimals.
_UNCLEAR = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
#: Thousands set apart, always by the same sign, and then decimals behind another one.
_GROUPED = re.compile(r"[0-9]{1,3}(?:([., '\u2019])[0-9]{3})(?:\1[0-9]{3})*(?:(?!\1)[.,][0-9]*)?")


def amount(text: str) -> Decimal | None:
    """Return the amount that a text states, None if it states none."""
    if len(text) > _LONGEST:
        return None
    stated = plain(text).replace(_MINUS, "-")
    return Decimal(stated) if _DECIMAL.fullmatch(stated) else None


def written_amount(text: str) -> Decimal | None:
    """Return the amount of a text with a comma or a point before its decimals, without a sign.

    Thousands may be set apart by a point, a comma, a blank or an apostrophe. None if it states no
    amount, or may state two: "1.250" is either more than a thousand or little more than one.
    """
    if len(text) > _LONGEST:
        return None
    stated = plain(text)
    if _UNCLEAR.fullmatch(stated):
        return None
    if _SINGLE.fullmatch(stated):
        return Decimal(stated.replace(",", "."))
    if (match := _GROUPED.fullmatch(stated)) is None:
        return None
    return Decimal(stated.replace(match[1], "").replace(",", "."))


def plain_amount(value: Decimal | None) -> str:
    """Return the one spelling of an amount: without exponent and trailing zeros, "" for none."""
    if value is None or not value.is_finite():
        return ""
    if not value:
        return "0"
    if abs(value.adjusted()) > _LONGEST:
        return ""
    digits = f"{value:f}"
    return digits.rstrip("0").removesuffix(".") if "." in digits else digits


@lru_cache(8192)  # the amounts of an invoice stand in it several times
def same_amount(text: str) -> str:
    """Return the one spelling of an amount in a text; the text itself if it states none."""
    if usual := _PLAIN.fullmatch(text):
        return text.rstrip("0").removesuffix(".") if usual[1] is not None else text
    value = amount(text)
    return plain(text) if value is None else plain_amount(value)


@lru_cache(8192)
def unsigned_amount(text: str) -> str:
    """Return the one spelling of an amount without its sign, which not all write in credit notes.

    The text itself if it states no amount.
    """
    return same_amount(text).removeprefix("-")
