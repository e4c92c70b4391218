"""Search terms: what a person types, and what of it may be a day, an amount or a digest."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from msgspec import Struct

#: Characters of a text, and words of it, at most.
MAX_TEXT = 200
MAX_WORDS = 8

_DAY = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?|(\d{1,2})[./-](\d{1,2})[./-](\d{4})")
_AMOUNT = re.compile(
    r"[-\u2212]?\d{1,3}(?:[., \u00a0\u202f'\u2019]\d{3})*(?:[.,]\d{1,2})?|[-\u2212]?\d+(?:[.,]\d+)?"
)
_CURRENCY = re.compile(r"(?i)^(?:EUR|\u20ac)\s*|\s*(?:EUR|\u20ac)$")


class Term(Struct, frozen=True):
    """One word that a document has to have.

    text: as it was typed. day: ISO 8601, or a month ("2026-01"), if it may be one. amounts: in the
    spelling of `Details.amount`, without a sign, if it may be one: "1.250" may be two.
    """

    text: str
    day: str = ""
    amounts: tuple[str, ...] = ()

    @property
    def delivered(self) -> tuple[float, float] | None:
        """From when to when the day is in this machine's time; None if it is no day."""
        return local_days(self.day, self.day) if len(self.day) == len("2026-01-31") else None


def terms_of(text: str) -> list[Term]:
    """The terms of a text, of which a document has to have each; none for a blank one."""
    text = " ".join(text[:MAX_TEXT].split())
    whole = _term(text)
    if whole.day or whole.amounts:
        return [whole]
    return [_term(word) for word in text.split()[:MAX_WORDS]]


def local_days(first: str, last: str) -> tuple[float, float]:
    """From the beginning of one day to the end of another, in seconds since 1970. ValueError.

    first, last: ISO 8601; in this machine's time.
    """
    end = date.fromisoformat(last) + timedelta(days=1)
    return _midnight(date.fromisoformat(first)), _midnight(end)


def _midnight(day: date) -> float:
    return time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))


def _term(text: str) -> Term:
    return Term(text, _day(text), tuple(dict.fromkeys(_amounts(_CURRENCY.sub("", text)))))


def _day(text: str) -> str:
    if (match := _DAY.fullmatch(text)) is None:
        return ""
    year, month, day = match[1] or match[6], match[2] or match[5], match[3] or match[4]
    try:
        found = date(int(year), int(month), int(day or 1))
    except ValueError:
        return ""
    return found.isoformat() if day else found.isoformat()[:7]


def _amounts(text: str) -> Iterator[str]:
    """Each amount that a text may state: the last sign is of decimals, or all are of thousands."""
    if _AMOUNT.fullmatch(text) is None:
        return
    digits = re.sub(r"[^\d.,]", "", text)
    at = max(digits.rfind("."), digits.rfind(","))
    if at >= 0:
        yield _plain(f"{digits[:at]}.{digits[at + 1 :]}", at)
    if at < 0 or len(digits) - at == 4:
        yield _plain(digits, len(digits))


def _plain(digits: str, at: int) -> str:
    whole = re.sub(r"\D", "", digits[:at])
    value = Decimal(f"{whole or 0}{digits[at:]}" if at < len(digits) else whole or "0")
    text = f"{value:f}"
    return text.rstrip("0").removesuffix(".") if "." in text else text
