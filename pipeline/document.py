"""A document on its way through the stages, with the acknowledgement that it carries."""

from __future__ import annotations

import hashlib
from typing import Generic, TypeVar

from msgspec import Struct

from pipeline.payload import Payload
from pipeline.source import Entry, Outcome, Source, Status
from pipeline.text import sanitized

#: Characters that a source is told of a document.
MESSAGE = 8000

MetaT = TypeVar("MetaT")
Next = TypeVar("Next")


class Key(Struct, frozen=True):
    """What makes a document one and the same, in the ledger and in flight."""

    source: str
    id: str
    revision: str

    @property
    def digest(self) -> str:
        """A name for files that no other document's have: 64 hexadecimal digits."""
        parts = "\0".join((self.source, self.id, self.revision))  # noqa: FLY002 - \0 is no text
        return hashlib.sha256(parts.encode()).hexdigest()


class Ack(Struct, frozen=True):
    """The way back to the source, for exactly one document.

    It is used once in the document's life here: FORWARDED only after the file is durable in its
    folder and the ledger has recorded it, ERROR only after the quarantine is. A document that
    is dropped without it (a stop, a crash, a passing failure) is listed again by its source.
    """

    source: Source
    id: str

    def forwarded(self) -> Outcome:
        """The document stands in its folder."""
        return Outcome(self.id, Status.FORWARDED)

    def error(self, reason: str) -> Outcome:
        """The document can't be placed, for this reason; an older ledger may hold any text."""
        return Outcome(self.id, Status.ERROR, sanitized(reason, MESSAGE))


class Sidecar(Struct, frozen=True):
    """A file that goes beside a document, under the same base name and this extension."""

    extension: str
    payload: Payload


class Document(Struct, Generic[MetaT], frozen=True):
    """What flows: each stage takes one and hands on another with more known about it.

    entry: as the source listed it. seen_at: when, in seconds since 1970.
    payload: its bytes, once they are here. sidecars: what goes beside it.
    meta: what the last stage found out.
    fetched: SHA-256 (hexadecimal) of the bytes as the source sent them, whatever is made of them.
    """

    key: Key
    entry: Entry
    ack: Ack
    seen_at: float
    meta: MetaT
    payload: Payload | None = None
    sidecars: tuple[Sidecar, ...] = ()
    fetched: str = ""

    @property
    def held(self) -> int:
        """Bytes of memory that it occupies."""
        held = self.payload.held if self.payload is not None else 0
        return held + sum(one.payload.held for one in self.sidecars) if self.sidecars else held

    async def release(self) -> None:
        """Remove its temporary files; twice does no harm."""
        for payload in (self.payload, *(one.payload for one in self.sidecars)):
            if payload is not None:
                await payload.release()

    def grown(self, meta: Next, payload: Payload | None = None) -> Document[Next]:
        """The same document as the next stage sees it; the payload is kept if not replaced."""
        return Document(
            self.key,
            self.entry,
            self.ack,
            self.seen_at,
            meta,
            payload or self.payload,
            self.sidecars,
            self.fetched or (payload.sha256 if payload is not None else ""),
        )
