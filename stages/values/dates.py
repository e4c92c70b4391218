"""Date normalisation: days in ISO 8601, whatever spelling a document has for them."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from stages.values.text import plain, same_dashes

#: Characters of a date with its time and zone, at most.
_LONGEST = 64
#: The years of two digits below this one are of this century.
_PIVOT = 80

#: A time and a zone: they are read as far as they have to be left out.
_TIME = r"(?:(?:T| T?)[0-9]{1,2}[0-9:.,]*)?(?: ?(?:Z|UTC|GMT|[+-][0-9]{1,2}(?::?[0-9]{2})?))?"
#: Year first, so that there is no doubt which is the month.
_EXTENDED = re.compile(rf"([0-9]{{4}})([-/.])([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}")
#: CCYYMMDD, after which hours, minutes and seconds may stand (formats 102, 203 and 204 of UN/CEFACT
#: 2379).
_BASIC = re.compile(rf"([0-9]{{4}})([0-9]{{2}})([0-9]{{2}})(?:[0-9]{{4}}(?:[0-9]{{2}})?)?{_TIME}")


@lru_cache(4096)  # the documents of a day are of a few days
def iso_date(text: str) -> str:
    """Return a day as YYYY-MM-DD, "" if the text states none that is in the calendar.

    Read are ISO 8601 with or without time and zone (the day is the one that is written, wherever
    the zone is), and CCYYMMDD.
    """
    if len(text) > _LONGEST:
        return ""
    stated = same_dashes(plain(text).upper())
    if match := _EXTENDED.fullmatch(stated):
        year, _, month, day = match.groups()
    elif match := _BASIC.fullmatch(stated):
        year, month, day = match.groups()
    else:
        return ""
    return _calendar(int(year), int(month), int(day))


def short_date(year: str, month: str, day: str) -> str:
    """Return YYYY-MM-DD of a day whose year has two digits, "" if there is no such day."""
    parts = (year, month, day)
    if not all(len(part) == 2 and part.isascii() and part.isdigit() for part in parts):
        return ""
    short = int(year)
    return _calendar(short + (2000 if short < _PIVOT else 1900), int(month), int(day))


def _calendar(year: int, month: int, day: int) -> str:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return ""
