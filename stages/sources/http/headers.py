"""HTTP response headers: reads the few that matter, and copes with any content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from pipeline.retry import MAX_RETRY_AFTER
from pipeline.source import Announced
from pipeline.text import printable
from stages.sources.http.checksums import stated_checksums, unpacked_coding
from stages.sources.http.coding import DecodingError, content_decoder

#: The media type of web pages.
HTML = "text/html"
#: Accept-Encoding of documents: checksums are of the bytes as sent, so these must not be coded.
NO_CODING = "identity"

#: Seconds as RFC 9110 has them, and as some send them: with a sign, a fraction, a unit, in quotes.
SECONDS = re.compile(
    r"[\"']?\+?([0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)\s*(|ms|s|secs?\.?|seconds?|m|mins?\.?|minutes?|h|hours?)"
    r"[\"']?",
    re.IGNORECASE,
)
#: Seconds of a unit, by its first letters.
UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0}
#: Seconds or milliseconds since 1970, which some send as the moment to ask again.
EPOCH = re.compile(r"([12][0-9]{9})([0-9]{3})?")
#: A Content-Range from the first byte on; the answer is whole if it extends to the last byte.
WHOLE = re.compile(r"bytes +0-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)


def is_encoded(response: aiohttp.ClientResponse) -> bool:
    """Whether the answer is coded, so that its length is not that of what body() gives."""
    try:
        return content_decoder(response.headers) is not None
    except DecodingError:
        return True


def announced(response: aiohttp.ClientResponse) -> Announced:
    """What the headers of an answer state of the bytes that body() gives."""
    coding = unpacked_coding(response.headers)
    return Announced(
        media_type=printable(media_type(response)),
        length=None if is_encoded(response) else response.content_length,
        checksums=stated_checksums(response.headers, coding),
        coding=coding,
    )


def is_part(response: aiohttp.ClientResponse) -> bool:
    """Whether a success is only a part of what was requested (RFC 9110, 14.4 and 14.6)."""
    said = response.headers.get("Content-Range")
    if said is None:
        return media_type(response) == "multipart/byteranges"
    match = WHOLE.fullmatch(said.strip())
    return match is None or int(match[1]) + 1 != int(match[2])


def media_type(response: aiohttp.ClientResponse) -> str:
    """The media type of the answer, "" if there is none; aiohttp's own parser fails on garbage."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds of Retry-After (RFC 9110, 10.2.3), MAX_RETRY_AFTER at most; None without one.

    Where it is missing, X-RateLimit-Reset of too many requests (429) says the same. Of several
    values, or several ways to read one, the longest counts: nobody asks too early.
    """
    values = list(response.headers.getall("Retry-After", ()))
    if not values and response.status == 429 and "Retry-After-Ms" not in response.headers:
        values += response.headers.getall("X-RateLimit-Reset", ())
    # Without parameters, which it does not have.
    said = [text.partition(";")[0].strip() for text in values]
    found = [seconds for text in said for seconds in _pauses(text)]
    if not found:
        # By the server's own clock if it states its time, as ours may be hours off.
        since = _moment(response.headers.get("Date", "")) or datetime.now(UTC)
        moments = [until for text in said if (until := _moment(text)) is not None]
        found = [max((until - since).total_seconds(), 0.0) for until in moments]
    # Some state it in milliseconds besides, or instead, in a header of their own.
    milliseconds = response.headers.getall("Retry-After-Ms", ())
    found += [seconds / 1000 for text in milliseconds for seconds in _pauses(text)]
    return min(max(found), MAX_RETRY_AFTER) if found else None


def _pauses(text: str) -> Iterator[float]:
    """The seconds that a text may mean: a comma marks a fraction, or separates two values."""
    for one in {text, *text.split(",")}:
        if not EPOCH.fullmatch(one.strip()) and (match := SECONDS.fullmatch(one.strip())):
            unit = match[2].lower()
            seconds = float(match[1].replace(",", "."))
            yield seconds * UNITS["ms" if unit == "ms" else unit[:1]]


def _moment(text: str) -> datetime | None:
    """The date of a header; None if it is none, or out of range."""
    try:
        # Its parts may be numbers of any length, and its time zone may be years away.
        moment = _epoch(text) or _iso_date(text) or parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, ArithmeticError, LookupError, OSError):
        return None


def _epoch(text: str) -> datetime | None:
    match = EPOCH.fullmatch(text)
    return datetime.fromtimestamp(int(match[1]), UTC) if match else None


def _iso_date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
