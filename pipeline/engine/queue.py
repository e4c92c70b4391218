"""A bounded queue between two stages: its bound counts documents and bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, Protocol, Self, TypeVar

import anyio

from pipeline.stage import Bound


class Weighed(Protocol):
    """Anything that says how many bytes of memory it holds."""

    @property
    def held(self) -> int:
        """Bytes of memory."""
        ...


T = TypeVar("T", bound=Weighed)


class Queue(Generic[T]):
    """Hands things from many putters to many takers, in order, never dropping one.

    What a taker has in hand counts until it says done(), so the bound is on all that a stage
    occupies. A single thing that exceeds the bound in bytes passes when it is alone. The owner,
    who puts, closes; takers then empty the queue and end with anyio.EndOfStream. Leaving its
    `with` block lets go of what nobody took.
    """

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.documents = 0
        self.bytes = 0
        self._send, self._receive = anyio.create_memory_object_stream[T](math.inf)
        self._freed: anyio.Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._send.close()
        self._receive.close()

    @property
    def waiting(self) -> int:
        """How many nobody has taken yet."""
        return self._send.statistics().current_buffer_used

    def resize(self, bound: Bound) -> None:
        """Apply another bound; what is inside already stays."""
        self.bound = bound
        self._wake()

    async def put(self, thing: T) -> None:
        """Wait for room, then leave it. Raises anyio.ClosedResourceError after close()."""
        while not self._fits(thing.held):
            self._freed = self._freed or anyio.Event()
            await self._freed.wait()
        self.put_back(thing)

    def put_back(self, thing: T) -> None:
        """Leave what has been further on already: to wait for room could be to wait for itself."""
        self._send.send_nowait(thing)
        self.documents += 1
        self.bytes += thing.held

    async def take(self, most: int = 1, linger: float = 0.0) -> list[T]:
        """Wait for one and take with it what else is there, at most `most`; then say done().

        linger: seconds to wait for more. Raises anyio.EndOfStream when it is closed and empty.
        """
        # What is there goes without a turn of the event loop, which would cost more.
        taken = self._there(most) or [await self._receive.receive()]
        taken += self._there(most - len(taken))
        if linger and len(taken) < most:
            await anyio.sleep(linger)
            taken += self._there(most - len(taken))
        return taken

    def done(self, taken: Sequence[T]) -> None:
        """What was taken has been handed on, and its room is free."""
        self.documents -= len(taken)
        self.bytes -= sum([thing.held for thing in taken])
        self._wake()

    def close(self) -> None:
        """Nothing will be put any more."""
        self._send.close()

    def _there(self, most: int) -> list[T]:
        there: list[T] = []
        try:
            while len(there) < most:
                there.append(self._receive.receive_nowait())
        except (anyio.WouldBlock, anyio.EndOfStream):
            pass
        return there

    def _fits(self, held: int) -> bool:
        if self.documents >= self.bound.documents:
            return False
        return not self.bytes or self.bytes + held <= self.bound.bytes

    def _wake(self) -> None:
        if self._freed is not None:
            self._freed.set()
            self._freed = None
