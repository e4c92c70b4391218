"""High-water marks: up to where each list has been read, as the engine keeps them for the source.

A list never shrinks, so it is not read from its start each time but from a little before the latest
document that has come to its end; and from the start now and then, for what came in out of order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct


class Mark(Struct, frozen=True, array_like=True):
    """Up to where one list has been read.

    latest: `created_at` of the latest document, ISO 8601; "" if nothing can be said. place: how
    many documents are before the first one that is to be read again. full: when the list was read
    from its start, in seconds since 1970.
    """

    latest: str = ""
    place: int = 0
    full: float = 0.0

    @property
    def moment(self) -> datetime | None:
        """The same as `latest`."""
        return moment(self.latest)


class Marks(Struct, frozen=True):
    """The marks of all lists by their names. url: of the platform that they are of."""

    url: str = ""
    lists: Mapping[str, Mark] = {}


def read_marks(cursor: str, url: str) -> dict[str, Mark]:
    """The marks of a cursor; none if it is of another platform, or can't be read."""
    try:
        marks = msgspec.json.decode(cursor, type=Marks)
    except msgspec.DecodeError:
        return {}
    return dict(marks.lists) if marks.url == url else {}


def write_marks(url: str, lists: Mapping[str, Mark]) -> str:
    """The cursor for marks; the same marks always make the same one."""
    cursor = Marks(url, {name: lists[name] for name in sorted(lists)})
    return msgspec.json.encode(cursor).decode()


def moment(text: str | None) -> datetime | None:
    """A point in time, ISO 8601, UTC unless it states a zone; None if it is none."""
    try:
        found = datetime.fromisoformat((text or "").strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
