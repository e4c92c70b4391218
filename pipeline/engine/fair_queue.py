"""Fair queue: no source, and no company of one, keeps the work on another one's documents waiting.

Whatever hangs at a source holds a worker for each document that hangs. So each of several sources
has only as many workers at once as are its share; and of a source that has several companies, each
company has a line of its own, begins with one worker, gets one more with each item that is done,
and leaves one to the others. One of which something is late has its workers beside those of all
others. A source that is polled no more, after an edit of the
configuration, takes no worker and no room from those that are.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeVar

import anyio

from pipeline.behalf import LATE
from pipeline.document import Line
from pipeline.engine.queue import Queue, Sized
from pipeline.source import Source
from pipeline.stage import Bound

#: Consumers that a late company has at most, once it is known to be late: of its documents one may
#: hang and the others not.
TRIES = 4
#: Items of one company that are taken in a row while others wait: so what is delivered together is
#: in few folders.
IN_A_ROW = 64


class Lined(Sized, Protocol):
    """An item of a source."""

    @property
    def line(self) -> Line:
        """The source that is asked for it, or told of it, and its company."""
        ...


T = TypeVar("T", bound=Lined)
K = TypeVar("K")


class FairQueue(Queue[T]):
    """A queue with a line for each company of a source. What is taken at once is of one line.

    retired: the sources that are polled no more. late: the lines of companies of which something is
    late. Both are live. Without shares, for a single source, it is bounded as any queue is. With
    them it takes in whatever has been admitted (`Admission`).
    """

    def __init__(
        self, bound: Bound, retired: Collection[Source], late: Collection[Line] = ()
    ) -> None:
        super().__init__(bound)
        self._retired = retired
        self._late = late
        self._shares: Mapping[str, int] = {}
        #: Consumers that there are, where there are no shares.
        self._consumers = 1
        self._lines: dict[Line, deque[T]] = {}
        #: How many items each source has in its lines; and each source, and each line, there and in
        #: hand.
        self._queued: dict[Source, int] = {}
        self._items_in: dict[Source, int] = {}
        self._items_of: dict[Line, int] = {}
        #: Since when each consumer has something of a line in hand, by the first item of it; and
        #: how many consumers have something of each source, without what is late.
        self._in_hand: dict[Line, dict[int, float]] = {}
        self._busy: dict[Source, int] = {}
        #: How many items of each line have been done, since there are any.
        self._earned: dict[Line, int] = {}
        self._in_a_row = 0
        #: The line that something may be taken of, between _is_ready() and _there().
        self._ready: Line | None = None

    @property
    def waiting(self) -> int:
        """How many items have not been taken yet and may be taken now, as far as sources go."""
        if not self._shares:
            return sum(self._queued.values())
        return sum(count for source, count in self._queued.items() if self._may_take_of(source))

    @property
    def aside(self) -> int:
        """How many consumers have something in hand that takes no place of others."""
        if not self._retired and not self._late:
            return 0
        return sum(len(begun) for line, begun in self._in_hand.items() if self._is_aside(line))

    def share(self, shares: Mapping[str, int], consumers: int = 1) -> None:
        """Apply other shares: how many consumers a source has at once, by its name.

        One that has no share may have all. consumers: how many there are.
        """
        self._shares = shares
        self._consumers = consumers
        self.look_again()

    def look_again(self) -> None:
        """Let those that wait see who has retired, who is late, and what the shares are."""
        self._busy.clear()
        for line, begun in self._in_hand.items():
            if line not in self._late:
                self._busy[line[0]] = self._busy.get(line[0], 0) + len(begun)
        self._wake()
        self._wake_for_waiting()

    def overdue(self, now: float) -> list[Line]:
        """The lines of companies of which something has been in hand for too long."""
        return [
            line
            for line, begun in self._in_hand.items()
            if line[1] and any(now - since >= LATE for since in begun.values())
        ]

    def answered(self, taken: Sequence[T]) -> None:
        """Note that a source has given what is needed: what else takes long is not late."""
        first = taken[0]
        self._in_hand[first.line][id(first)] = math.inf

    async def put(self, item: T) -> None:
        """Wait for room, then add the item; as Queue.put()."""
        while not self._has_room(item):
            await self._freeing()
        self._add(item, item.held)

    async def room(self, line: Line) -> bool:
        """Wait until a source has fewer in the queue, and in hand, than the bound.

        A company that is late has its room beside that of the others; False if that is full.
        """
        while not self._shares_room(line):
            if line in self._late:
                return False
            await self._freeing()
        return True

    def done(self, taken: Sequence[T]) -> None:
        """Free the room, and the consumer's place, of items that were taken together."""
        first = taken[0]
        line = first.line
        begun = self._in_hand[line]
        key = id(first)
        while key not in begun:
            key += 1
        del begun[key]
        if not begun:
            del self._in_hand[line]
        if line not in self._late:
            _subtract(self._busy, line[0], 1)
        _subtract(self._items_of, line, len(taken))
        _subtract(self._items_in, line[0], len(taken))
        if line[1]:
            self._earn(line)
        super().done(taken)
        if self._takers and self._lines and (self._shares or self._late):
            self._wake_for_waiting()

    def _earn(self, line: Line) -> None:
        """Have a company have one more consumer at once, as long as anything of it is there."""
        if line not in self._items_of:
            self._earned.pop(line, None)
            return
        earned = self._earned.get(line, 0)
        if earned < self._consumers:
            self._earned[line] = earned + 1
            if self._takers and line in self._lines:
                self._wake_taker()

    def _is_aside(self, line: Line) -> bool:
        return line in self._late or line[0] in self._retired

    def _shares_room(self, line: Line) -> bool:
        if line in self._late:
            return self._items_of.get(line, 0) < self.bound.documents
        source = line[0]
        count = self._items_in.get(source, 0)
        if self._late:
            count -= sum(self._items_of.get(one, 0) for one in self._late if one[0] is source)
        return count < self.bound.documents

    def _has_room(self, item: T) -> bool:
        if self._shares or (self._late and item.line in self._late):
            return True
        return self._fits_beside(item.held)

    def _fits_beside(self, held: int) -> bool:
        """Whether there is room beside what is of sources that are polled, and not late."""
        if not self._retired and not self._late:
            return self._fits(held)
        aside = sum(self._items_in.get(one, 0) for one in self._retired) + sum(
            self._items_of.get(line, 0) for line in self._late if line[0] not in self._retired
        )
        if not aside:
            return self._fits(held)
        # Of their bytes nothing is known, so these do not count for a while.
        return self.documents - aside < self.bound.documents

    async def _freeing(self) -> None:
        """Wait until there may be room."""
        self._freed = self._freed or anyio.Event()
        await self._freed.wait()

    def _may_take(self, line: Line) -> bool:
        """Whether one more consumer may take something of a line."""
        source, company = line
        if company and (begun := self._in_hand.get(line)):
            count = len(begun)
            earned = TRIES - 1 if self._late and line in self._late else self._earned.get(line, 0)
            shares, most = self._shares, self._consumers
            if count > earned or count >= (shares.get(source.name, most) if shares else most) - 1:
                return False
        return not self._shares or line in self._late or self._may_take_of(source)

    def _may_take_of(self, source: Source) -> bool:
        """Whether one more consumer may take something of a source."""
        share = self._shares.get(source.name)
        if share is None or source in self._retired:
            return True
        # Several may have one name: what people order is fetched by a source of its own.
        return share > sum(
            count
            for one, count in self._busy.items()
            if one.name == source.name and one not in self._retired
        )

    def _next(self) -> Line | None:
        """The line whose turn it is; None if there is none of which anything may be taken."""
        for line in self._lines:
            if self._may_take(line):
                return line
        return None

    def _is_ready(self) -> bool:
        self._ready = self._next()
        return self._ready is not None

    def _is_empty(self) -> bool:
        return not self._lines

    def _there(self, most: int) -> list[T]:
        lines = self._lines
        # As _is_ready() has found it just now.
        line, self._ready = self._ready, None
        assert line is not None, "something may be taken"
        waiting = lines[line]
        if len(lines) > 1:
            self._in_a_row += 1
            if not line[1] or self._in_a_row >= IN_A_ROW:
                # The others have their turns before it has its next one.
                lines[line] = lines.pop(line)
                self._in_a_row = 0
        items = self._from(waiting, line, most)
        begun = self._in_hand.get(line)
        if begun is None:
            begun = self._in_hand[line] = {}
        key = id(items[0])
        while key in begun:
            # It has been put back, and the consumer that did so is not done with it yet.
            key += 1
        begun[key] = time.monotonic()
        if line not in self._late:
            self._busy[line[0]] = self._busy.get(line[0], 0) + 1
        return items

    def _more(self, taken: Sequence[T], most: int) -> list[T]:
        line = taken[0].line
        waiting = self._lines.get(line)
        return self._from(waiting, line, most) if waiting else []

    def _from(self, waiting: deque[T], line: Line, most: int) -> list[T]:
        items = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        _subtract(self._queued, line[0], len(items))
        if not waiting:
            del self._lines[line]
            if self._closed and not self._lines:
                self._wake_all()
        return items

    def _keep(self, item: T) -> None:
        line = item.line
        waiting = self._lines.get(line)
        if waiting is None:
            waiting = self._lines[line] = deque()
        waiting.append(item)
        source = line[0]
        self._queued[source] = self._queued.get(source, 0) + 1
        self._items_in[source] = self._items_in.get(source, 0) + 1
        self._items_of[line] = self._items_of.get(line, 0) + 1

    def _drop_all(self) -> None:
        self._lines.clear()
        self._queued.clear()

    def _wake_for(self, item: T) -> None:
        if self._may_take(item.line):
            self._wake_taker()

    def _wake_for_waiting(self) -> None:
        """Wake as many consumers as there are items that may be taken."""
        if self._takers and self._lines:
            for _ in range(min(self.waiting, len(self._takers))):
                self._wake_taker()


def _subtract(counter: dict[K, int], key: K, count: int) -> None:
    """Count down, and keep none that has nothing."""
    left = counter[key] - count
    if left:
        counter[key] = left
    else:
        del counter[key]
