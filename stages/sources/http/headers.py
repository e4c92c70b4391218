"""HTTP response headers: reads the few that matter, and copes with any content."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from pipeline.retry import MAX_RETRY_AFTER
from pipeline.source import Announced
from pipeline.text import printable
from stages.sources.http.checksums import stated_checksums
from stages.sources.http.coding import DecodingError, content_decoder

#: Characters of a server's message that are quoted, at most.
QUOTED = 200

SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?")
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
    return Announced(
        media_type=printable(media_type(response)),
        length=None if is_encoded(response) else response.content_length,
        checksums=stated_checksums(response.headers),
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
    """Seconds of Retry-After (RFC 9110, 10.2.3), MAX_RETRY_AFTER at most; None without one."""
    text = response.headers.get("Retry-After", "").strip()
    if SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER)
    # By the server's own clock if it states its time, as ours may be hours off.
    until, since = _moment(text), _moment(response.headers.get("Date", ""))
    if until is None:
        return None
    rest = (until - (since or datetime.now(UTC))).total_seconds()
    return min(max(rest, 0.0), MAX_RETRY_AFTER)


def _moment(text: str) -> datetime | None:
    """The date of a header; None if it is none, or out of range."""
    try:
        # Its parts may be numbers of any length, and its time zone may be years away.
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, ArithmeticError, LookupError, OSError):
        return None


def quoted(text: str) -> str:
    """A server's message, printable, on one line, and cut to QUOTED characters."""
    # Only the beginning is made printable, as the text may be very long.
    return printable(text[: 2 * QUOTED].strip())[:QUOTED].strip()
