"""Document contract: what flows through the stages, with the acknowledgement that it carries."""

from __future__ import annotations

import hashlib
from typing import Generic, TypeVar

from msgspec import Struct

from pipeline.payload import Payload
from pipeline.source import Entry, Outcome, Source
from pipeline.text import sanitized

#: Characters of the reason that a source is told, at most.
MAX_REASON = 8000

MetaT = TypeVar("MetaT")
Next = TypeVar("Next")


class Key(Struct, frozen=True, cache_hash=True):
    """The identity of a document, in the ledger and in flight."""

    source: str
    id: str
    revision: str

    @property
    def digest(self) -> str:
        """A name for files that is unique to the document: 64 hexadecimal digits (SHA-256)."""
        parts = "\0".join((self.source, self.id, self.revision))  # noqa: FLY002 - \0 is no text
        return hashlib.sha256(parts.encode()).hexdigest()


class Ack(Struct, frozen=True):
    """The acknowledgement handle of exactly one document, which makes its outcome.

    A document is accepted only after its file is durable in its folder and the ledger has recorded
    that, or after the ledger has recorded that it is left out; it is rejected only after the
    quarantine is durable. A document that is dropped without an acknowledgement (a stop, a crash,
    a failure that passes) is listed again by its source.
    """

    source: Source
    id: str
    revision: str = ""

    def ack(self) -> Outcome:
        """The document is accepted: its source need not hold it any more."""
        return Outcome(self.id, accepted=True, revision=self.revision)

    def nack(self, reason: str, *, kept: bool) -> Outcome:
        """The document can't be delivered. reason: any text; an old ledger may hold a raw one.

        kept: whether the quarantine holds its bytes.
        """
        return Outcome(self.id, False, sanitized(reason, MAX_REASON), kept, self.revision)


class Sidecar(Struct, frozen=True):
    """A file that is delivered beside a document, under its base name and this extension."""

    extension: str
    payload: Payload


class Document(Struct, Generic[MetaT], frozen=True):
    """A document in flight: each stage takes one and returns another with more known about it.

    entry: as the source listed it. seen_at: when, in seconds since 1970.
    payload: its bytes, once they are fetched. sidecars: the files to deliver beside it.
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
    def source(self) -> Source:
        """The source that it is fetched from and acknowledged to."""
        return self.ack.source

    @property
    def company(self) -> str:
        """Whose it is by its list; see Entry."""
        return self.entry.company

    @property
    def held(self) -> int:
        """Bytes of memory that its payloads occupy."""
        held = self.payload.held if self.payload is not None else 0
        return held + sum(one.payload.held for one in self.sidecars) if self.sidecars else held

    async def release(self) -> None:
        """Remove its temporary files; may be called again."""
        for payload in (self.payload, *(one.payload for one in self.sidecars)):
            if payload is not None:
                await payload.release()

    def with_meta(self, meta: Next, payload: Payload | None = None) -> Document[Next]:
        """The same document for the next stage; without a payload it keeps the one that it has."""
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
