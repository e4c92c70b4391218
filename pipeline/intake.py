"""What takes documents in and sees each one to its end, and what it knows of those in flight.

Two do so: the engine (engine.py), in this process, and the crew (crew.py), in several.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import anyio
import structlog
from msgspec import Struct

from pipeline.acknowledge import Settled
from pipeline.document import Document, Key
from pipeline.errors import SourceError, SourceUnreachable, SynqupError
from pipeline.ledger import Ledger
from pipeline.quarantine import Quarantine
from pipeline.records import State
from pipeline.source import Outcome, Source
from pipeline.stage import attempt

log = structlog.get_logger(__name__)

#: Documents that a source may fail in a row before a poll gives it up.
SETBACKS = 8


class Size(Protocol):
    """A stage's size as the configuration gives it; None keeps the stage's own."""

    @property
    def workers(self) -> int | None:
        """How many work at once."""

    @property
    def queue(self) -> int | None:
        """Documents in the queue and in hand."""

    @property
    def queue_bytes(self) -> int | None:
        """Bytes in the queue and in hand."""


class Tally(Struct):
    """What has become of the documents of this run so far."""

    listed: int = 0
    delivered: int = 0
    duplicates: int = 0
    skipped: int = 0
    quarantined: int = 0
    waiting: int = 0
    bytes: int = 0

    @property
    def done(self) -> int:
        """Documents that this run has finished with, one way or another."""
        left_out = self.duplicates + self.skipped
        return self.delivered + left_out + self.quarantined + self.waiting

    def count(self, end: State, size: int) -> None:
        """Count a document of so many bytes that has come to this end."""
        match end:
            case State.DELIVERED:
                self.delivered += 1
                self.bytes += size
            case State.DUPLICATE:
                self.duplicates += 1
            case State.SKIPPED:
                self.skipped += 1
            case State.QUARANTINED:
                self.quarantined += 1
            case State.WAITING:
                self.waiting += 1

    def add(self, more: Tally) -> None:
        """Count what others have counted."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(more, name))


class Flight:
    """A document in flight: as it took off, and how often it has come back damaged.

    Either it was listed, or an earlier end of it is settled and only the source has to be told.
    end, size: what has become of it, and its bytes, once that is counted.
    """

    def __init__(self, cargo: Document[Any] | Settled) -> None:
        self.cargo = cargo
        self.returns = 0
        self.end: State | None = None
        self.size = 0


class Intake(ABC):
    """Takes documents in and sees each one to its end; no document is in flight twice.

    The end of a document is one of: delivered and acknowledged; left out or quarantined, and
    acknowledged; left for a later poll.
    """

    def __init__(self, ledger: Ledger, quarantine: Quarantine) -> None:
        self._ledger = ledger
        self._quarantine = quarantine
        self.tally = Tally()
        #: Set when a stage died of a bug: whoever feeds documents in stops feeding.
        self.broken = anyio.Event()
        self.fault: Exception | None = None
        self._flying: dict[str, dict[Key, Flight]] = {}
        self._landed: dict[str, anyio.Event] = {}
        self._setbacks: dict[str, list[SynqupError]] = {}

    @abstractmethod
    def running(self) -> AbstractAsyncContextManager[None]:
        """Work while the block runs; on leaving it, drain what is in flight.

        Raises what a stage died of, once everything else has drained.
        """

    @abstractmethod
    def resize(self, sizes: Mapping[str, Size]) -> None:
        """Apply configured sizes by stage name: more workers at once, fewer after their work."""

    async def offer(self, document: Document[Any]) -> bool:
        """Take a document in, once there is room; False if it is in flight already."""
        if not await self._admit(document.key, document):
            return False
        self.tally.listed += 1
        return True

    async def tell(self, settled: Settled) -> None:
        """Tell a source what an earlier run, or an earlier poll, could not."""
        await self._admit(settled.key, settled)

    def is_flying(self, key: Key) -> bool:
        """Whether the document is between its listing and its end."""
        return key in self._flying.get(key.source, ())

    def in_flight(self, source: str) -> frozenset[Key]:
        """The documents of a source that are in flight at this moment."""
        return frozenset(self._flying.get(source, ()))

    def flying(self, source: str) -> int:
        """How many of this source's documents are in flight."""
        return len(self._flying.get(source, ()))

    async def landed(self, source: str) -> None:
        """Wait until none of this source's documents is in flight."""
        while self.flying(source):
            await self._landed[source].wait()

    async def retire(self, source: Source) -> None:
        """Close a source once none of its documents is in flight."""
        await self.landed(source.name)
        await source.close()

    def setback(self, source: str) -> SynqupError | None:
        """Why this source is worth no further document for now: it failed several in a row."""
        setbacks = self._setbacks.get(source, [])
        return setbacks[-1] if len(setbacks) >= SETBACKS else None

    def forgive(self, source: str) -> None:
        """A new poll begins: let it find out for itself whether the source serves again."""
        self._setbacks.pop(source, None)

    @abstractmethod
    async def _take(self, flight: Flight) -> None:
        """Bring what has just taken off on its way, once there is room."""

    @abstractmethod
    async def _settle(self, document: Document[Any], outcome: Outcome) -> None:
        """Let go of a document whose end the ledger has recorded, and have its source told."""

    async def _admit(self, key: Key, cargo: Document[Any] | Settled) -> bool:
        if self.is_flying(key):
            return False
        flying = self._flying.setdefault(key.source, {})
        if not flying:
            self._landed[key.source] = anyio.Event()
        flying[key] = flight = Flight(cargo)
        try:
            await self._take(flight)
        except BaseException:
            self._land(key)
            raise
        return True

    def _land(self, key: Key) -> None:
        flying = self._flying[key.source]
        flying.pop(key, None)
        if not flying:
            self._landed[key.source].set()

    async def _postpone(self, document: Document[Any], error: SynqupError) -> None:
        self._count(document, State.WAITING)
        if isinstance(error, SourceUnreachable | SourceError):
            self._setbacks.setdefault(document.key.source, []).append(error)
        log.warning("document waits", document=document.entry.label, reason=str(error))
        await self._record(self._ledger.waiting, document, error)
        await document.release()
        self._land(document.key)

    async def _set_aside(self, document: Document[Any], error: SynqupError) -> None:
        async def keep(document: Document[Any]) -> Document[Any]:
            await self._quarantine.keep(document, str(error))
            return document

        kept = await attempt(keep, document)
        if not isinstance(kept, Document):
            await self._postpone(document, kept)
            return
        self._count(document, State.QUARANTINED)
        log.error("document quarantined", document=document.entry.label, reason=str(error))
        await self._record(self._ledger.quarantined, document, error)
        await self._settle(document, document.ack.error(str(error)))

    async def _record(
        self,
        write: Callable[[Sequence[tuple[Key, str]], float], Awaitable[None]],
        document: Document[Any],
        error: SynqupError,
    ) -> None:
        await write([(document.key, str(error))], time.time())

    def _count(self, document: Document[Any], end: State) -> None:
        flight = self._flying[document.key.source][document.key]
        flight.end, flight.size = end, document.payload.size if document.payload else 0
        self.tally.count(end, flight.size)
