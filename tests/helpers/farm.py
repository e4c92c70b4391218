"""A source of documents that lives in memory, for tests of the engine alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import anyio

from pipeline.document import Ack, Document, Key
from pipeline.payload import Payload
from pipeline.source import Entry, Incoming, Outcome, Source
from pipeline.traits import Traits

#: A configuration in which no source has any company.
NOBODY: Any = SimpleNamespace(companies=())


class Farm(Source):
    """Holds numbered documents; what it is told is kept in `told`."""

    traits = Traits(says_error=True)

    def __init__(self, documents: int = 0, *, name: str = "farm", ack_batch: int = 1) -> None:
        self.name = name
        self.ack_batch = ack_batch
        self.open = [str(number) for number in range(documents)]
        self.told: list[Outcome] = []
        self.batches: list[int] = []
        self.trouble: Exception | None = None

    def entry(self, id_: str) -> Entry:
        return Entry(id_, "", f"document {id_}", None)

    async def list(self, config: Any) -> AsyncIterator[Sequence[Entry]]:
        """Pages of ten that shift as documents leave the list, as a platform's do."""
        page = 0
        while ids := self.open[page * 10 : page * 10 + 10]:
            yield [self.entry(id_) for id_ in ids]
            page += 1

    def backlog(self) -> int | None:
        return len(self.open)

    def fetch(self, entry: Entry, form: str = "") -> AbstractAsyncContextManager[Incoming]:
        raise NotImplementedError

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        if self.trouble is not None:
            raise self.trouble
        await anyio.sleep(0.001)
        self.batches.append(len(outcomes))
        self.told.extend(outcomes)
        told = {outcome.id for outcome in outcomes}
        self.open = [id_ for id_ in self.open if id_ not in told]
        return told

    async def check(self, config: Any) -> str:
        return "well"

    async def close(self) -> None: ...

    def document(self, id_: str, data: bytes = b"") -> Document[Any]:
        payload = Payload(len(data), "", data)
        return Document(
            Key(self.name, id_, ""), self.entry(id_), Ack(self, id_), 0.0, None, payload
        )
