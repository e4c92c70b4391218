"""In-flight registry: the documents that have been submitted and have not come to their end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any

import anyio

from pipeline.dispatcher import PendingAck
from pipeline.document import Document, Key, Line
from pipeline.source import Source


class InFlightItem:
    """A document in flight: as it was submitted, and how often it has been fetched again.

    item: the document; or, where an earlier end of it is recorded, its pending acknowledgement.
    """

    def __init__(self, key: Key, item: Document[Any] | PendingAck) -> None:
        self.key = key
        self.item = item
        self.refetches = 0

    @property
    def source(self) -> Source:
        """The source that it is fetched from and acknowledged to."""
        return self.item.line[0]


class InFlight:
    """The items in flight, by the names of their sources and their ids.

    Of the revisions of one id only one is in flight at a time.
    """

    def __init__(self, retires: Callable[[], None] = lambda: None) -> None:
        """retires: called when a source with something in flight has, or others are late."""
        self._retires = retires
        self._items: dict[str, dict[str, InFlightItem]] = {}
        #: How many items each source has listed that are in flight; no source has 0.
        self._counts: dict[Source, int] = {}
        #: Sources that are polled no more, while something of theirs is in flight.
        self._retired: set[Source] = set()
        #: The same by company, where the source has several.
        self._counts_of: dict[Line, int] = {}
        #: The lines of companies of which something is late.
        self._late: set[Line] = set()
        #: Events for those who wait until a source, a name of sources, or a document has drained.
        self._drained: dict[Hashable, anyio.Event] = {}

    def add(self, key: Key, item: Document[Any] | PendingAck) -> bool:
        """Take in a document or a pending acknowledgement; False if its id is in flight."""
        items = self._items.setdefault(key.source, {})
        if key.id in items:
            return False
        items[key.id] = InFlightItem(key, item)
        line = item.line
        source, company = line
        self._counts[source] = self._counts.get(source, 0) + 1
        if company:
            self._counts_of[line] = self._counts_of.get(line, 0) + 1
        return True

    def remove(self, key: Key) -> None:
        """Remove a document that has come to its end; does nothing if it is not in flight."""
        removed = self.get(key)
        if removed is None:
            return
        del self._items[key.source][key.id]
        self._notify(key)
        line = removed.item.line
        source, company = line
        if company:
            self._counts_of[line] -= 1
            if not self._counts_of[line]:
                del self._counts_of[line]
        self._counts[source] -= 1
        if not self._counts[source]:
            del self._counts[source]
            self._retired.discard(source)
            self._notify(source)
        if not self.count(key.source):
            self._notify(key.source)

    def clear(self) -> None:
        """Remove all: the engine has ended and brings none of them to its end."""
        for items in list(self._items.values()):
            for item in list(items.values()):
                self.remove(item.key)

    def get(self, key: Key) -> InFlightItem | None:
        """The item of a document in this very revision; None if it is not in flight."""
        item = self._items.get(key.source, {}).get(key.id)
        return item if item is not None and item.key == key else None

    def has_id(self, source: str, id_: str) -> bool:
        """Whether any revision of this id is in flight."""
        return id_ in self._items.get(source, ())

    def of(self, source: str) -> frozenset[Key]:
        """The documents of a source that are in flight at this moment."""
        return frozenset(item.key for item in self._items.get(source, {}).values())

    def count(self, source: str) -> int:
        """How many documents of a source are in flight.

        Those of one that has retired do not count, nor do those of a company that is late.
        """
        count = len(self._items.get(source, ()))
        for one in self._retired:
            if one.name == source:
                count -= self._counts[one]
        for line in self._late:
            if line[0].name == source and line[0] not in self._retired:
                count -= self._counts_of.get(line, 0)
        return count

    @property
    def retired(self) -> Collection[Source]:
        """The sources that are polled no more, while something of them is in flight; it is live."""
        return self._retired

    @property
    def late(self) -> Collection[Line]:
        """The lines of companies of which something is late; it is live.

        No poll waits for their documents, and no other company's document has their room.
        """
        return self._late

    def set_late(self, lines: set[Line]) -> None:
        """Set whose documents are late."""
        before = self._late.copy()
        if lines == before:
            return
        self._late.clear()
        self._late.update(lines)
        self._retires()
        for name in {line[0].name for line in lines - before}:
            if not self.count(name):
                self._notify(name)

    def sources(self) -> list[str]:
        """The names of the sources that have, or had, something in flight."""
        return list(self._items)

    async def drained(self, source: str) -> None:
        """Wait until count() is 0."""
        while self.count(source):
            await self._event(source).wait()

    async def ended(self, key: Key) -> None:
        """Wait until a document in this very revision is not in flight."""
        while self.get(key) is not None:
            await self._event(key).wait()

    async def retire(self, source: Source) -> None:
        """Wait until nothing that this very source has listed is in flight.

        Another source may bear its name meanwhile, whose polls do not wait for these documents.
        """
        if source in self._counts:
            self._retired.add(source)
            if not self.count(source.name):
                self._notify(source.name)
            self._retires()
        while source in self._counts:
            await self._event(source).wait()

    def _event(self, drained: Hashable) -> anyio.Event:
        return self._drained.setdefault(drained, anyio.Event())

    def _notify(self, drained: Hashable) -> None:
        if (event := self._drained.pop(drained, None)) is not None:
            event.set()
