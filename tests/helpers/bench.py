"""An engine with one stage that counts documents, for tests of what a poll starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from pipeline.document import Document
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import Staged
from pipeline.payload import Payload
from pipeline.stage import Stage, one_by_one
from stages.list import Lister
from tests.helpers.farm import NOBODY, Farm


class Bench:
    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        self.engine = engine
        self.ledger = ledger
        self.processed: Counter[str] = Counter()
        self.failing: Sequence[str] = ()

    async def poll(self, farm: Farm) -> None:
        with anyio.fail_after(100):
            await Lister(farm, NOBODY, self.ledger, self.engine.dispatcher).poll()


@asynccontextmanager
async def bench(
    folder: Path,
    error: Exception | None = None,
    failing: Sequence[str] = (),
    payload: Payload | None = None,
) -> AsyncIterator[Bench]:
    async def process(document: Document[Any]) -> Document[Any]:
        one.processed[document.key.id] += 1
        await anyio.lowlevel.checkpoint()
        if error is not None and document.key.id in one.failing:
            raise error
        # As the last stage does, so that a page read before this shows nothing new.
        staged = Staged(document.key, "", (), document.key.digest, "", "", "", 0, "", "", 0.0)
        await one.ledger.stage([staged], 1.0)
        await one.ledger.delivered([(document.key, "")], 1.0)
        return document

    async def fetch(document: Document[Any]) -> Document[Any]:
        return document.with_meta(None, payload)

    async with open_ledger(folder / "ledger") as ledger:
        stage = Stage("only", one_by_one(process), workers=4)
        stages = [stage] if payload is None else [Stage("fetch", one_by_one(fetch)), stage]
        engine = Engine(stages, ledger, Quarantine(folder / "quarantine"))
        one = Bench(engine, ledger)
        one.failing = failing
        async with engine.running():
            yield one
