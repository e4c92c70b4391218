"""Fair queue: a queue in which no source keeps the work on another one's documents waiting.

Whatever hangs at a source holds a worker for each document that hangs. So each of several sources
has its own line, and only as many workers at once as are its share. A source that is polled no
more, after an edit of the configuration, takes no worker and no room from those that are.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
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

    is_retired: whether a source is polled no more. Without shares, for a single source, it is
    bounded as any queue is. With them it takes in whatever has been admitted (`Admission`).
    """

    def __init__(self, bound: Bound, is_retired: Callable[[Source], bool]) -> None:
        super().__init__(bound)
        self._is_retired = is_retired
        self._shares: Mapping[str, int] = {}
        self._lines: dict[Source, deque[T]] = {}
        #: What each source has in the queue and in hand: documents, and bytes of memory.
        self._documents: Counter[Source] = Counter()
        self._bytes: Counter[Source] = Counter()
        #: How many consumers have something of each source in hand.
        self._in_hand: Counter[Source] = Counter()

    @property
    def waiting(self) -> int:
        """How many items have not been taken yet and may be taken now."""
        return sum(len(line) for source, line in self._lines.items() if self._may_take(source))

    @property
    def aside(self) -> int:
        """How many consumers have something in hand of a source that is polled no more."""
        return sum(count for one, count in self._in_hand.items() if self._is_retired(one))

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
        """Wait until a source alone has less in the queue, and in hand, than the bound."""
        while (
            self._documents[source] >= self.bound.documents
            or self._bytes[source] >= self.bound.bytes
        ):
            await self._freeing()

    def done(self, taken: Sequence[T]) -> None:
        """Free the room, and the consumer's place, of items that were taken together."""
        source = taken[0].source
        _subtract(self._in_hand, source, 1)
        _subtract(self._documents, source, len(taken))
        _subtract(self._bytes, source, sum([item.held for item in taken]))
        super().done(taken)
        self._wake_for_waiting()

    def _has_room(self, item: T) -> bool:
        return bool(self._shares) or self._fits_beside(item.held)

    def _fits_beside(self, held: int) -> bool:
        """Whether there is room beside what is of sources that are polled."""
        retired = [source for source in self._documents if self._is_retired(source)]
        if self.documents - sum(self._documents[one] for one in retired) >= self.bound.documents:
            return False
        occupied = self.bytes - sum(self._bytes[one] for one in retired)
        return not occupied or occupied + held <= self.bound.bytes

    async def _freeing(self) -> None:
        """Wait until there may be room."""
        self._freed = self._freed or anyio.Event()
        await self._freed.wait()

    def _may_take(self, source: Source) -> bool:
        """Whether one more consumer may take something of a source."""
        share = self._shares.get(source.name)
        if share is None or self._is_retired(source):
            return True
        return self._of_name(self._in_hand, source.name) < share

    def _of_name(self, counter: Counter[Source], name: str) -> int:
        """What is counted for all sources of a name that are polled."""
        return sum(
            count
            for one, count in counter.items()
            if one.name == name and not self._is_retired(one)
        )

    def _is_ready(self) -> bool:
        return any(self._may_take(source) for source in self._lines)

    def _is_empty(self) -> bool:
        return not self._lines

    def _there(self, most: int) -> list[T]:
        source = next(one for one in self._lines if self._may_take(one))
        self._in_hand[source] += 1
        # The other sources have their turns before it has its next one.
        line = self._lines[source] = self._lines.pop(source)
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
        self._lines.setdefault(source, deque()).append(item)
        self._documents[source] += 1
        self._bytes[source] += item.held

    def _drop_all(self) -> None:
        self._lines.clear()

    def _wake_for_waiting(self) -> None:
        """Wake as many consumers as there are items that may be taken."""
        if self._takers and self._lines:
            for _ in range(min(self.waiting, len(self._takers))):
                self._wake_taker()


def _subtract(counter: Counter[Source], source: Source, count: int) -> None:
    """Count down, and keep no source that has nothing."""
    counter[source] -= count
    if not counter[source]:
        del counter[source]
