"""Fair queue: a queue in which no source keeps the work on another one's documents waiting.

Whatever hangs at a source holds a worker for each document that hangs. So each of several sources
has its own line, and only as many workers at once as are its share. A source that is polled no
more, after an edit of the configuration, takes no worker and no room from those that are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeVar

import anyio

from pipeline.engine.queue import Queue, Sized
from pipeline.source import Source
from pipeline.stage import Bound


class Sourced(Sized, Protocol):
    """An item of a source."""

    @property
    def source(self) -> Source:
        """The source that is asked for it, or told of it."""
        ...


T = TypeVar("T", bound=Sourced)


class FairQueue(Queue[T]):
    """A queue with a line for each source. What is taken at once is of one source.

    retired: the sources that are polled no more; it is live. Without shares, for a single source,
    it is bounded as any queue is. With them it takes in whatever has been admitted (`Admission`).
    """

    def __init__(self, bound: Bound, retired: Collection[Source]) -> None:
        super().__init__(bound)
        self._retired = retired
        self._shares: Mapping[str, int] = {}
        self._lines: dict[Source, deque[T]] = {}
        #: How many items each source has in the queue and in hand.
        self._items_of: dict[Source, int] = {}
        #: How many consumers have something of each source in hand.
        self._in_hand: dict[Source, int] = {}

    @property
    def waiting(self) -> int:
        """How many items have not been taken yet and may be taken now."""
        if not self._shares:
            return sum(map(len, self._lines.values()))
        return sum(len(line) for source, line in self._lines.items() if self._may_take(source))

    @property
    def aside(self) -> int:
        """How many consumers have something in hand of a source that is polled no more."""
        if not self._retired:
            return 0
        return sum(count for one, count in self._in_hand.items() if one in self._retired)

    def share(self, shares: Mapping[str, int]) -> None:
        """Apply other shares: how many consumers a source has at once, by its name.

        One that has no share may have all.
        """
        self._shares = shares
        self.look_again()

    def look_again(self) -> None:
        """Let those that wait see whether a source has retired, or its share has changed."""
        self._wake()
        self._wake_for_waiting()

    async def put(self, item: T) -> None:
        """Wait for room, then add the item; as Queue.put()."""
        while not self._has_room(item):
            await self._freeing()
        self._add(item, item.held)

    async def room(self, source: Source) -> None:
        """Wait until a source alone has fewer in the queue, and in hand, than the bound."""
        while self._items_of.get(source, 0) >= self.bound.documents:
            await self._freeing()

    def done(self, taken: Sequence[T]) -> None:
        """Free the room, and the consumer's place, of items that were taken together."""
        source = taken[0].source
        _subtract(self._in_hand, source, 1)
        _subtract(self._items_of, source, len(taken))
        super().done(taken)
        if self._takers and self._lines:
            self._wake_for_waiting()

    def _has_room(self, item: T) -> bool:
        return bool(self._shares) or self._fits_beside(item.held)

    def _fits_beside(self, held: int) -> bool:
        """Whether there is room beside what is of sources that are polled."""
        if not self._retired:
            return self._fits(held)
        retired = sum(count for one, count in self._items_of.items() if one in self._retired)
        if not retired:
            return self._fits(held)
        # Of their bytes nothing is known, so these do not count for a while.
        return self.documents - retired < self.bound.documents

    async def _freeing(self) -> None:
        """Wait until there may be room."""
        self._freed = self._freed or anyio.Event()
        await self._freed.wait()

    def _may_take(self, source: Source) -> bool:
        """Whether one more consumer may take something of a source."""
        share = self._shares.get(source.name)
        if share is None or source in self._retired:
            return True
        # Several may have one name: what people order is fetched by a source of its own.
        return share > sum(
            count
            for one, count in self._in_hand.items()
            if one.name == source.name and one not in self._retired
        )

    def _is_ready(self) -> bool:
        if not self._shares:
            return bool(self._lines)
        return any(self._may_take(source) for source in self._lines)

    def _is_empty(self) -> bool:
        return not self._lines

    def _there(self, most: int) -> list[T]:
        lines = self._lines
        source = (
            next(one for one in lines if self._may_take(one)) if self._shares else next(iter(lines))
        )
        self._in_hand[source] = self._in_hand.get(source, 0) + 1
        line = lines[source]
        if len(lines) > 1:
            # The other sources have their turns before it has its next one.
            lines[source] = lines.pop(source)
        return self._from(line, source, most)

    def _more(self, taken: Sequence[T], most: int) -> list[T]:
        source = taken[0].source
        line = self._lines.get(source)
        return self._from(line, source, most) if line else []

    def _from(self, line: deque[T], source: Source, most: int) -> list[T]:
        items = [line.popleft() for _ in range(min(most, len(line)))]
        if not line:
            del self._lines[source]
            if self._closed and not self._lines:
                self._wake_all()
        return items

    def _keep(self, item: T) -> None:
        source = item.source
        line = self._lines.get(source)
        if line is None:
            line = self._lines[source] = deque()
        line.append(item)
        self._items_of[source] = self._items_of.get(source, 0) + 1

    def _drop_all(self) -> None:
        self._lines.clear()

    def _wake_for_waiting(self) -> None:
        """Wake as many consumers as there are items that may be taken."""
        if self._takers and self._lines:
            for _ in range(min(self.waiting, len(self._takers))):
                self._wake_taker()


def _subtract(counter: dict[Source, int], source: Source, count: int) -> None:
    """Count down, and keep no source that has nothing."""
    left = counter[source] - count
    if left:
        counter[source] = left
    else:
        del counter[source]
