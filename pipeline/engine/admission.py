"""Admission: the queue of the first stage, which lets in so much of each source and no more.

Each of several sources has so many places. A document has its place until it has passed the last
stage that asks its source: so what hangs there, at whichever stage, is never more than the queues
between the stages take. For a single source the bounds of these queues are enough. A company of
which something is late has places beside those of the others: as many again, and no more.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pipeline.document import Document, Key, Line
from pipeline.engine.fair_queue import FairQueue
from pipeline.source import Source
from pipeline.stage import Bound


class Admission(FairQueue[Document[Any]]):
    """A fair queue that also bounds what each source has in the stages that ask it."""

    def __init__(
        self, bound: Bound, retired: Collection[Source], late: Collection[Line] = ()
    ) -> None:
        super().__init__(bound, retired, late)
        self._places: dict[Line, set[Key]] = {}
        self._places_in: dict[Source, int] = {}

    async def admit(self, document: Document[Any]) -> bool:
        """Wait for room, then add a document; False if its company is late and has no room."""
        while not self._has_room(document):
            if document.line in self._late:
                return False
            await self._freeing()
        self._add(document, document.held)
        return True

    def leave(self, document: Document[Any]) -> None:
        """Free the place of a document; does nothing if it has none."""
        places = self._places.get(document.line)
        if places is None or document.key not in places:
            return
        places.discard(document.key)
        self._places_in[document.source] -= 1
        if not self._places_in[document.source]:
            del self._places_in[document.source]
        if not places:
            del self._places[document.line]
        self._wake()

    def _has_room(self, item: Document[Any]) -> bool:
        name = item.key.source
        share = self._shares.get(name)
        if self._late and item.line in self._late:
            most = self.bound.documents if share is None else share
            return len(self._places.get(item.line, ())) < most
        if share is None:
            return self._fits_beside(item.held)
        count = sum(
            places
            for one, places in self._places_in.items()
            if one.name == name and one not in self._retired
        )
        if self._late:
            count -= sum(
                len(self._places.get(one, ()))
                for one in self._late
                if one[0].name == name and one[0] not in self._retired
            )
        return share > count

    def _keep(self, item: Document[Any]) -> None:
        super()._keep(item)
        # One that is fetched again may have given its place up.
        places = self._places.setdefault(item.line, set())
        if item.key not in places:
            places.add(item.key)
            self._places_in[item.source] = self._places_in.get(item.source, 0) + 1

    def _drop_all(self) -> None:
        super()._drop_all()
        self._places.clear()
        self._places_in.clear()
