"""Fair queue: the queue of the first stage, in which no source takes the places of another.

Whatever hangs at a source holds its documents there, in hand of the workers. So each of several
sources has its own share of them, and one that hangs leaves the others theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from pipeline.document import Document
from pipeline.engine.queue import Queue
from pipeline.stage import Bound


class FairQueue(Queue[Document[Any]]):
    """A queue that also bounds the documents of each source, in it and in hand."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound)
        self._shares: Mapping[str, int] = {}
        self._documents: Counter[str] = Counter()

    def share(self, shares: Mapping[str, int]) -> None:
        """Apply other shares, by source; one that has none is bounded as all are together.

        A share may be exceeded by what is in the queue already.
        """
        self._shares = shares
        self._wake()

    async def put(self, item: Document[Any]) -> None:
        """Wait for room, and for room of its source, then add the item."""
        held = item.held
        while not (self._has_share(item.key.source) and self._fits(held)):
            self._freed = self._freed or anyio.Event()
            await self._freed.wait()
        self._add(item, held)

    def done(self, taken: Sequence[Document[Any]]) -> None:
        """Free the room of documents that have been taken and handed on."""
        for document in taken:
            source = document.key.source
            self._documents[source] -= 1
            if not self._documents[source]:
                del self._documents[source]
        super().done(taken)

    def _add(self, item: Document[Any], held: int) -> None:
        super()._add(item, held)
        self._documents[item.key.source] += 1

    def _has_share(self, source: str) -> bool:
        share = self._shares.get(source)
        return share is None or self._documents[source] < share
