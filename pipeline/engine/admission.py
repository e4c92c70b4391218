"""Admission: the queue of the first stage, which lets in so much of each source and no more.

Each of several sources has so many places. A document has its place until it has passed the last
stage that asks its source: so what hangs there, at whichever stage, is never more than the queues
between the stages take. For a single source the bounds of these queues are enough.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pipeline.document import Document, Key
from pipeline.engine.fair_queue import FairQueue
from pipeline.source import Source
from pipeline.stage import Bound


class Admission(FairQueue[Document[Any]]):
    """A fair queue that also bounds what each source has in the stages that ask it."""

    def __init__(self, bound: Bound, retired: Collection[Source]) -> None:
        super().__init__(bound, retired)
        self._places: dict[Source, set[Key]] = {}

    def leave(self, document: Document[Any]) -> None:
        """Free the place of a document; does nothing if it has none."""
        places = self._places.get(document.source)
        if places is None or document.key not in places:
            return
        places.discard(document.key)
        if not places:
            del self._places[document.source]
        self._wake()

    def _has_room(self, item: Document[Any]) -> bool:
        name = item.key.source
        share = self._shares.get(name)
        if share is None:
            return self._fits_beside(item.held)
        return share > sum(
            len(places)
            for one, places in self._places.items()
            if one.name == name and one not in self._retired
        )

    def _keep(self, item: Document[Any]) -> None:
        super()._keep(item)
        # One that is fetched again may have given its place up.
        self._places.setdefault(item.source, set()).add(item.key)

    def _drop_all(self) -> None:
        super()._drop_all()
        self._places.clear()
