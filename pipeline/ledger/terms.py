"""Search terms: what a person types, and what of it may be a day, an amount or a digest."""

from __future__ import annotations

import re
import time
import unicodedata
from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

from msgspec import Struct

from pipeline.text import printable

#: Characters of a text, and words of it, at most.
MAX_TEXT = 200
MAX_WORDS = 8
#: Words of which a day or an amount may consist: "1 234 567,89 EUR".
MAX_SPAN = 4

#: Days and months: the year first, the year last, without signs between, or the month as a word.
_DAYS = (
    re.compile(r"(?P<y>[0-9]{4})([./-])(?P<m>[0-9]{1,2})(?:\2(?P<d>[0-9]{1,2}))?"),
    re.compile(r"(?:(?P<d>[0-9]{1,2})[./-])?(?P<m>[0-9]{1,2})[./-](?P<y>[0-9]{4})"),
    re.compile(r"(?P<d>[0-9]{1,2})([./-])(?P<m>[0-9]{1,2})\2(?P<y>[0-9]{2})"),
    re.compile(r"(?P<y>(?:19|20)[0-9]{2})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"),
    re.compile(
        r"(?:(?P<d>[0-9]{1,2})(?:\.|er|e|de|ste|st|nd|rd|th)? ?[ ./-])?"
        r"(?P<word>[^\W\d_]{3,9})\.?[ ./-](?P<y>[0-9]{4})",
        re.IGNORECASE,
    ),
)
_MONTHS = (
    "januari janvier january jan",
    "februari fevrier february feb",
    "maart mars march mrt",
    "april avril apr",
    "mei mai may",
    "juni juin june jun",
    "juli juillet july jul",
    "augustus aout august aug",
    "september septembre sep",
    "oktober octobre october okt",
    "november novembre nov",
    "december decembre dec",
)
#: An amount that can be nothing else.
_SURE = re.compile(r"[.,][0-9]{1,2}$")
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
        """From when to when day or month is in this machine's time; None where there is none."""
        try:
            return local_days(self.day, self.day) if self.day else None
        except ValueError:
            return None


def terms_of(text: str) -> list[Term]:
    """The terms of a text, of which a document has to have each; none for a blank one."""
    text = " ".join(unicodedata.normalize("NFC", printable(text[:MAX_TEXT])).split())
    whole = _term(text)
    if whole.day or whole.amounts:
        return [whole]
    return list(_terms(text.split()[:MAX_WORDS]))


def local_days(first: str, last: str) -> tuple[float, float]:
    """From the beginning of one day to the end of another, in seconds since 1970. ValueError.

    first, last: days or months as day_of() reads them, without a guess; in this machine's time.
    """
    begin, end = _first_day(day_of(first, guess=False)), _last_day(day_of(last, guess=False))
    return _midnight(begin), _midnight(end + timedelta(days=1) if end < date.max else end)


def day_of(text: str, *, guess: bool = True) -> str:
    """The day (2026-01-31) or month (2026-01) that a text names; empty if it names none.

    It is spelt as in ISO 8601, with the year last, or with the month as a word of one of the
    languages of the page, which itself writes "31 jan. 2026". guess: also with a year of two
    digits.
    """
    for pattern in _DAYS:
        if (match := pattern.fullmatch(text)) is None:
            continue
        said = match.groupdict()
        if not guess and len(said["y"]) == len("26"):
            continue
        month = _month(said["word"]) if "word" in said else int(said["m"])
        year = int(said["y"]) + (2000 if len(said["y"]) == len("26") else 0)
        try:
            found = date(year, month, int(said["d"] or 1))
        except ValueError:
            continue
        return found.isoformat() if said["d"] else found.isoformat()[:7]
    return ""


def _month(word: str) -> int:
    """The month that a word or its beginning names; 0 if that is none, or several."""
    bare = unicodedata.normalize("NFKD", word.casefold())
    plain = "".join(one for one in bare if not unicodedata.combining(one))
    fits = [
        number
        for number, names in enumerate(_MONTHS, 1)
        if any(name.startswith(plain) for name in names.split())
    ]
    return fits[0] if len(fits) == 1 else 0


def _first_day(day: str) -> date:
    return date.fromisoformat(day if len(day) != len("2026-01") else f"{day}-01")


def _last_day(day: str) -> date:
    first = _first_day(day)
    if len(day) != len("2026-01"):
        return first
    return first.replace(day=monthrange(first.year, first.month)[1])


def _midnight(day: date) -> float:
    try:
        return time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))
    except OverflowError:
        raise ValueError("this machine knows no such day") from None


def _terms(words: Sequence[str]) -> Iterator[Term]:
    """The terms of words: each word, but days and amounts that consist of several are one."""
    at = 0
    while at < len(words):
        for length in range(min(MAX_SPAN, len(words) - at), 1, -1):
            term = _term(" ".join(words[at : at + length]))
            bare = _CURRENCY.sub("", term.text)
            if term.day or (term.amounts and (bare != term.text or _SURE.search(bare))):
                break
        else:
            length, term = 1, _term(words[at])
        yield term
        at += length


def _term(text: str) -> Term:
    return Term(text, day_of(text), tuple(dict.fromkeys(_amounts(_CURRENCY.sub("", text)))))


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
