"""Knows which documents are between their listing and their end."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import anyio

from pipeline.document import Document, Key
from pipeline.engine.acknowledger import PendingAck
from pipeline.source import Source


class InFlightItem:
    """A document in flight: as it took off, and how often it has come back damaged.

    Either it was listed, or an earlier end of it is settled and only the source has to be told.
    """

    def __init__(self, key: Key, cargo: Document[Any] | PendingAck) -> None:
        self.key = key
        self.cargo = cargo
        self.returns = 0

    @property
    def source(self) -> Source:
        """The source that it is fetched from and told to."""
        return self.cargo.source if isinstance(self.cargo, PendingAck) else self.cargo.ack.source


class InFlight:
    """The documents in flight, by their sources' names and their ids.

    Of the revisions of one id only one is in flight at a time.
    """

    def __init__(self) -> None:
        self._flights: dict[str, dict[str, InFlightItem]] = {}
        self._aboard: dict[Source, int] = {}
        #: Sources that are polled no more, while something of theirs is in flight.
        self._retired: set[Source] = set()
        self._emptied: dict[Hashable, anyio.Event] = {}

    def add(self, key: Key, cargo: Document[Any] | PendingAck) -> bool:
        """Take a document in; False if one of its id is in flight."""
        flights = self._flights.setdefault(key.source, {})
        if key.id in flights:
            return False
        flights[key.id] = flight = InFlightItem(key, cargo)
        self._aboard[flight.source] = self._aboard.get(flight.source, 0) + 1
        return True

    def remove(self, key: Key) -> None:
        """A document has come to its end; twice does no harm."""
        flight = self.get(key)
        if flight is None:
            return
        del self._flights[key.source][key.id]
        source = flight.source
        self._aboard[source] -= 1
        if not self._aboard[source]:
            del self._aboard[source]
            self._retired.discard(source)
            self._tell(source)
        if not self.count(key.source):
            self._tell(key.source)

    def clear(self) -> None:
        """Let go of all: nobody sees them to their end any more."""
        for flights in list(self._flights.values()):
            for flight in list(flights.values()):
                self.remove(flight.key)

    def get(self, key: Key) -> InFlightItem | None:
        """The flight of a document, in this very revision."""
        flight = self._flights.get(key.source, {}).get(key.id)
        return flight if flight is not None and flight.key == key else None

    def has_id(self, source: str, id_: str) -> bool:
        """Whether any revision of this id is in flight."""
        return id_ in self._flights.get(source, ())

    def of(self, source: str) -> frozenset[Key]:
        """The documents of a source that are in flight at this moment."""
        return frozenset(flight.key for flight in self._flights.get(source, {}).values())

    def count(self, source: str) -> int:
        """How many documents of a source are in flight, without those of one that has retired."""
        count = len(self._flights.get(source, ()))
        for one in self._retired:
            if one.name == source:
                count -= self._aboard[one]
        return count

    async def landed(self, source: str) -> None:
        """Wait until count() is nought."""
        while self.count(source):
            await self._emptying(source).wait()

    async def retire(self, source: Source) -> None:
        """Wait until nothing that this very source has shown is in flight.

        Another one may bear its name meanwhile, whose polls do not wait for this one's documents.
        """
        if source in self._aboard:
            self._retired.add(source)
            if not self.count(source.name):
                self._tell(source.name)
        while source in self._aboard:
            await self._emptying(source).wait()

    def _emptying(self, what: Hashable) -> anyio.Event:
        return self._emptied.setdefault(what, anyio.Event())

    def _tell(self, what: Hashable) -> None:
        if (emptied := self._emptied.pop(what, None)) is not None:
            emptied.set()
