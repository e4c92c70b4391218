"""Bounded queue between two stages: its bound counts documents and bytes of memory."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Generic, Protocol, Self, TypeVar

import anyio

from pipeline.stage import Bound

#: Seconds without any item after which the next one is not kept waiting for others. Far sources
#: answer in bursts, and this has to be longer than what lies between two of them.
PAUSE = 1.0


class Sized(Protocol):
    """An item that says how many bytes of memory it occupies."""

    @property
    def held(self) -> int:
        """Bytes of memory."""
        ...


T = TypeVar("T", bound=Sized)


class Queue(Generic[T]):
    """A first-in-first-out queue from many producers to many consumers; it drops no item.

    What a consumer has taken counts until done(), so the bound is on all that a stage occupies. A
    single item that is larger than the bound passes when it is alone. The producers' side closes
    the queue; consumers then empty it and end with anyio.EndOfStream. Leaving its `with` block
    drops what has not been taken.
    """

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.documents = 0
        self.bytes = 0
        #: How many items have been done with so far.
        self.finished = 0
        #: Since when nothing is waiting or in hand, by time.monotonic(); None if anything is.
        self._idle_since: float | None = -math.inf
        # A deque and futures, not a stream of anyio, which takes four times as long for an item.
        self._items: deque[T] = deque()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._freed: anyio.Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop_all()
        self.close()

    @property
    def waiting(self) -> int:
        """How many items have not been taken yet."""
        return len(self._items)

    @property
    def aside(self) -> int:
        """How many consumers are busy with what takes no place of others."""
        return 0

    def resize(self, bound: Bound) -> None:
        """Apply another bound; it may be exceeded by what is in the queue already."""
        self.bound = bound
        self._wake()

    def look_again(self) -> None:
        """Let those that wait see whether there is room."""
        self._wake()

    async def put(self, item: T) -> None:
        """Wait for room, then add the item. Raises anyio.ClosedResourceError after close()."""
        held = item.held
        while not self._fits(held):
            self._freed = self._freed or anyio.Event()
            await self._freed.wait()
        self._add(item, held)

    def put_back(self, item: T) -> None:
        """Add an item at once, beyond the bound if need be.

        For an item that comes back from a later stage: if it waited for room, it could be waiting
        for itself. Raises as put().
        """
        self._add(item, item.held)

    async def take(self, most: int = 1, linger: float = 0.0) -> list[T]:
        """Wait for an item and take it with all others that are there, at most `most` in all.

        The consumer calls done() with them afterwards. linger: seconds to wait for more than one;
        the first after a PAUSE is not kept waiting. Raises anyio.EndOfStream when the queue is
        closed and empty.
        """
        # Items that are there are taken without a turn of the event loop, which would cost more.
        while not self._is_ready():
            await self._arrival()
        taken = self._there(most)
        if linger and not self._ends_a_pause() and len(taken) < most:
            await anyio.sleep(linger)
            taken += self._more(taken, most - len(taken))
        return taken

    def done(self, taken: Sequence[T]) -> None:
        """Free the room of items that have been taken and handed on."""
        self.documents -= len(taken)
        self.finished += len(taken)
        self.bytes -= sum([item.held for item in taken])
        if not self.documents:
            self._idle_since = time.monotonic()
        self._wake()

    def answered(self, taken: Sequence[T]) -> None:
        """Note that the work of the stage on these is done, before they are handed on."""

    def close(self) -> None:
        """Nothing will be put any more; consumers take what is left."""
        self._closed = True
        self._wake_all()

    def _ends_a_pause(self) -> bool:
        """Whether what has just been taken is the first after a PAUSE."""
        since, self._idle_since = self._idle_since, None
        return since is not None and time.monotonic() - since > PAUSE

    def _is_ready(self) -> bool:
        """Whether there is an item to be taken."""
        return bool(self._items)

    def _is_empty(self) -> bool:
        """Whether no item is left, to be taken now or later."""
        return not self._items

    def _there(self, most: int) -> list[T]:
        """Take what is there, at most so many; there is something."""
        items = self._items
        return [items.popleft() for _ in range(min(most, len(items)))]

    def _more(self, taken: Sequence[T], most: int) -> list[T]:  # noqa: ARG002 - FairQueue uses it
        """Take what has come since to be taken together with that, at most so many."""
        return self._there(most)

    def _keep(self, item: T) -> None:
        """Add an item behind those that are to be taken before it."""
        self._items.append(item)

    def _drop_all(self) -> None:
        self._items.clear()

    def _add(self, item: T, held: int) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        self._keep(item)
        self.documents += 1
        self.bytes += held
        if self._takers:
            self._wake_for(item)

    async def _arrival(self) -> None:
        """Wait until an item may be there; another consumer may be the first to take it."""
        if self._closed and self._is_empty():
            raise anyio.EndOfStream
        taker = asyncio.get_running_loop().create_future()
        self._takers.append(taker)
        try:
            await taker
        except BaseException:
            if taker in self._takers:
                self._takers.remove(taker)
            elif self._is_ready():
                # Cancelled after it was woken: what it was woken for is another one's.
                self._wake_taker()
            raise

    def _wake_for(self, item: T) -> None:  # noqa: ARG002 - FairQueue uses it
        """Wake a consumer for an item that has come."""
        self._wake_taker()

    def _wake_all(self) -> None:
        while self._takers:
            self._wake_taker()

    def _wake_taker(self) -> None:
        """Wake the consumer that has waited longest, and is not about to be cancelled."""
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def _fits(self, held: int) -> bool:
        if self.documents >= self.bound.documents:
            return False
        return not self.bytes or self.bytes + held <= self.bound.bytes

    def _wake(self) -> None:
        if self._freed is not None:
            self._freed.set()
            self._freed = None
