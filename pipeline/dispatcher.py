"""Contract of the dispatcher: how the list stage starts documents, and asks what became of them.

The engine fulfils it (pipeline/engine/dispatcher.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from pipeline.document import Document, Key
from pipeline.errors import SynqupError
from pipeline.records import DocumentRecord
from pipeline.source import Outcome, Source


class PendingAck(Struct, frozen=True):
    """A document whose end the ledger has recorded and that its source has yet to be told of.

    covers: further documents that are acknowledged by the same outcome. record: what the log is to
    say of it when the source was told. company: whose it is, where that is known.
    """

    key: Key
    source: Source
    outcome: Outcome
    record: DocumentRecord | None = None
    covers: tuple[Key, ...] = ()
    company: str = ""

    @property
    def held(self) -> int:
        """Bytes of memory, for the bound of a queue: only the reason may be long."""
        return len(self.outcome.reason)


class Dispatcher(Protocol):
    """Starts documents and acknowledgements; of an id only one revision is in flight at a time.

    A document is in flight from the moment that it is submitted until it has come to its end and,
    where that is one that its source is told of, the source has been told or has failed to be.
    Sources are given by their names.
    """

    async def submit(self, document: Document[Any], /) -> bool:
        """Start a document, once there is room; False if its id is in flight already."""

    async def acknowledge(self, pending: PendingAck, /) -> None:
        """Tell a source of an end that an earlier run or poll recorded and could not tell.

        Does nothing if its id is in flight already.
        """

    async def gone(self, found: Sequence[tuple[Key, SynqupError]], /) -> None:
        """Record documents that waited, and that their source does not list any more, and why."""

    async def kept(self, key: Key, /) -> bool:
        """Whether the quarantine holds the bytes of a document."""

    def in_flight(self, source: str, /) -> frozenset[Key]:
        """The documents of a source that are in flight."""

    def in_flight_count(self, source: str, /) -> int:
        """How many of them there are, without those of a source that has retired."""

    def is_id_in_flight(self, source: str, id_: str, /) -> bool:
        """Whether any revision of this id is in flight."""

    async def drained(self, source: str, /) -> None:
        """Wait until in_flight_count() is 0."""

    def reset_breaker(self, source: str, /, *, several: bool = False) -> None:
        """Close the circuit breaker of a source, since a new poll of it begins.

        several: whether it is polled for several companies.
        """

    def open_reason(self, source: str, /) -> SynqupError | None:
        """Why the circuit breaker of a source is open; None if it is closed."""

    def given_up(self, source: str, /) -> Mapping[str, SynqupError]:
        """The companies of which a source that may serve others serves nothing, and why."""
