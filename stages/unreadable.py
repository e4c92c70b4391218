"""Unreadable documents: what one poll had to leave out because its lists can't be read there."""

from __future__ import annotations

import structlog

from pipeline.source import Source, UnreadableItems
from pipeline.text import first_few

log = structlog.get_logger(__name__)


class Unreadable:
    """What one poll had to leave out of the lists of a source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lists: dict[str, UnreadableItems] = {}

    @property
    def items(self) -> int:
        """How many documents that are."""
        return sum(one.items for one in self._lists.values())

    def note(self) -> None:
        """Keep what a pass had to leave out; of each list, the pass that met the most of it."""
        for one in self._source.unreadable:
            before = self._lists.get(one.list)
            if before is None or before.items < one.items:
                self._lists[one.list] = one

    def tell(self) -> None:
        """Log it, list by list."""
        for one in self._lists.values():
            log.warning(
                "listed documents can't be read",
                source=self._source.name,
                list=one.list,
                items=one.items,
                reason="; ".join(first_few(one.reasons)),
                remedy="Tell the platform; they are left out until its list can be read",
            )
