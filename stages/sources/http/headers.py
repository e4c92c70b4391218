"""What the headers of an answer say, whatever stands in them: they are a stranger's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from pipeline.retry import MAX_RETRY_AFTER
from pipeline.text import printable
from stages.sources.http.coding import Mispacked, unpacker

#: Characters of a server's own words that are worth quoting.
QUOTED = 200

SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?")
#: A Content-Range that begins at the beginning; it is the whole if it ends at the end.
WHOLE = re.compile(r"bytes +0-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)


def is_packed(response: aiohttp.ClientResponse) -> bool:
    """Whether its length says nothing of what body() gives."""
    try:
        return unpacker(response.headers) is not None
    except Mispacked:
        return True


def is_part(response: aiohttp.ClientResponse) -> bool:
    """Whether a success says that it is a part of what was asked for (RFC 9110, 14.4 and 14.6)."""
    said = response.headers.get("Content-Range")
    if said is None:
        return media_type(response) == "multipart/byteranges"
    match = WHOLE.fullmatch(said.strip())
    return match is None or int(match[1]) + 1 != int(match[2])


def media_type(response: aiohttp.ClientResponse) -> str:
    """The kind of the answer, "" if it does not say; aiohttp's own reading trips over garbage."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds that the server asks us to wait (RFC 9110, 10.2.3), if it does and is plausible.

    MAX_RETRY_AFTER at most, whatever it says.
    """
    text = response.headers.get("Retry-After", "").strip()
    if SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER)
    # The server's own clock, where it tells it: ours may be hours off.
    until, since = _moment(text), _moment(response.headers.get("Date", ""))
    if until is None:
        return None
    rest = (until - (since or datetime.now(UTC))).total_seconds()
    return min(max(rest, 0.0), MAX_RETRY_AFTER)


def _moment(text: str) -> datetime | None:
    """A date of a header; None if it is none, of whatever year and time zone it claims to be."""
    try:
        # Its parts are numbers of any length, and its time zone may be years away.
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, ArithmeticError, LookupError, OSError):
        return None


def quoted(text: str) -> str:
    """A server's words made fit for one line of a log, and not too long."""
    if len(text) <= QUOTED and text.isprintable():
        return text.strip()
    # What is cut off need not be looked at, however long it is.
    return printable(text[: 2 * QUOTED].strip())[:QUOTED].strip()
