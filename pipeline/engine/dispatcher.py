"""Dispatcher: admits documents and acknowledgements to the engine, one revision of an id at a time.

Backpressure: a submission waits until the first queue has room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.dispatcher import Dispatcher, PendingAck
from pipeline.document import Document, Key
from pipeline.engine.acknowledger import Acknowledger
from pipeline.engine.breaker import Breaker
from pipeline.engine.counters import RunCounters
from pipeline.engine.in_flight import InFlight
from pipeline.engine.outcomes import Outcomes
from pipeline.engine.queue import Queue
from pipeline.errors import SynqupError
from pipeline.source import Source


class EngineDispatcher(Dispatcher):
    """The dispatcher of one engine; see the contract."""

    def __init__(
        self,
        first: Queue[Document[Any]],
        in_flight: InFlight,
        outcomes: Outcomes,
        acknowledger: Acknowledger,
        breaker: Breaker,
        counters: RunCounters,
    ) -> None:
        """first: the queue in front of the first stage."""
        self._first = first
        self._in_flight = in_flight
        self._outcomes = outcomes
        self._acknowledger = acknowledger
        self._breaker = breaker
        self._counters = counters

    async def submit(self, document: Document[Any], /) -> bool:
        """Start a document, once there is room; False if its id is in flight already."""
        if not self._in_flight.add(document.key, document):
            return False
        try:
            await self._acknowledger.room(document.source)
            await self._first.put(document)
        except BaseException:
            self._in_flight.remove(document.key)
            raise
        self._counters.count_listed(document.key.source)
        return True

    async def acknowledge(self, pending: PendingAck, /) -> None:
        """Tell a source of an end that an earlier run or poll recorded and could not tell."""
        if not self._in_flight.add(pending.key, pending):
            return
        try:
            # Only now: what is told meanwhile by another way must not be told once more.
            await self._outcomes.clear_quarantine(pending.key, pending.outcome)
            await self._acknowledger.room(pending.source)
            self._acknowledger.put(pending)
        except BaseException:
            self._in_flight.remove(pending.key)
            raise

    async def gone(self, found: Sequence[tuple[Key, SynqupError]], /) -> None:
        """Record documents that waited, and that their source does not list any more, and why."""
        await self._outcomes.gone(found)

    async def kept(self, key: Key, /) -> bool:
        """Whether the quarantine holds the bytes of a document."""
        return await self._outcomes.kept(key)

    def in_flight(self, source: str, /) -> frozenset[Key]:
        """The documents of a source that are in flight."""
        return self._in_flight.of(source)

    def in_flight_count(self, source: str, /) -> int:
        """How many of them there are, without those of a source that has retired."""
        return self._in_flight.count(source)

    def is_in_flight(self, key: Key) -> bool:
        """Whether a document is in flight, in this very revision."""
        return self._in_flight.get(key) is not None

    def is_id_in_flight(self, source: str, id_: str, /) -> bool:
        """Whether any revision of this id is in flight."""
        return self._in_flight.has_id(source, id_)

    async def drained(self, source: str, /) -> None:
        """Wait until in_flight_count() is 0."""
        await self._in_flight.drained(source)

    async def ended(self, key: Key) -> None:
        """Wait until a document is not in flight."""
        await self._in_flight.ended(key)

    async def retire(self, source: Source) -> None:
        """Wait until nothing that this very source has listed is in flight; it is polled no more.

        Another source may bear its name from now on. No source waits for these documents: whatever
        hangs of them has workers, and room, beside those of all others.
        """
        await self._in_flight.retire(source)

    def reset_breaker(self, source: str, /, *, several: bool = False) -> None:
        """Close the circuit breaker of a source, since a new poll of it begins."""
        self._breaker.reset(source, several=several)
        self._acknowledger.reset(source, several=several)

    def open_reason(self, source: str, /) -> SynqupError | None:
        """Why the circuit breaker of a source is open; None if it is closed."""
        return self._breaker.open_reason(source, idle=not self._in_flight.count(source))

    def given_up(self, source: str, /) -> Mapping[str, SynqupError]:
        """The companies of which a source that may serve others serves nothing, and why."""
        return self._breaker.companies.given_up(source)
