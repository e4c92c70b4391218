"""An engine that is stuck shows; one that has nothing to do, or is only slow, does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.document import Document
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.health.progress import Progress
from pipeline.ledger.ledger import open_ledger
from pipeline.source import Source
from pipeline.stage import Stage, one_by_one
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Busy(Farm):
    at = 0.0

    @property
    def active_at(self) -> float:
        return self.at


async def test_a_stage_that_sleeps_for_ever_shows_and_its_end_too(tmp_path: Path) -> None:
    gates = {str(number): anyio.Event() for number in range(3)}

    async def wait(document: Document[Any]) -> Document[Any]:
        await gates[document.key.id].wait()
        return document

    farm, other = Busy(3), Busy(name="other")
    sources: dict[str, Source | None] = {"farm": farm, "other": other, "closed": None}
    async with open_ledger(tmp_path / "ledger") as ledger:
        stage = Stage("slow", one_by_one(wait), 3)
        engine = Engine([stage], ledger, Quarantine(tmp_path / "quarantine"))
        with anyio.fail_after(100):
            async with engine.running():
                clock = Clock()
                progress = Progress(clock)

                def standstill() -> float:
                    return progress.standstill(engine.observer.snapshot(), sources)

                clock.now += 1000
                assert standstill() == 0
                documents = [farm.document(id_) for id_ in farm.open]
                await ledger.seen([(d.key, d.entry.label) for d in documents], 1.0)
                for document in documents:
                    await engine.dispatcher.submit(document)
                assert standstill() == 0
                clock.now += 60
                assert standstill() == 60
                # A source with nothing in flight is polled, which moves no document.
                other.at = clock.now
                clock.now += 60
                assert standstill() == 120
                # Bytes come in.
                farm.at = clock.now
                assert standstill() == 0
                clock.now += 60
                assert standstill() == 60
                gates["0"].set()
                while engine.observer.snapshot().sources["farm"].in_flight == 3:
                    await anyio.sleep(0.001)
                assert standstill() == 0
                clock.now += 60
                assert standstill() == 60
                for gate in gates.values():
                    gate.set()
                await engine.dispatcher.drained("farm")
                clock.now += 6000
                assert standstill() == 0
