"""What the engine does at once follows the connections of the sources, also while it runs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Struct

from pipeline.document import Document
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.source import Outcome
from pipeline.stage import Bound, Stage, one_by_one
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio


class Size(Struct, frozen=True):
    workers: int | None = None
    queue: int | None = None
    queue_bytes: int | None = None


class Gate:
    """Counts those who wait before it, until it is opened."""

    def __init__(self) -> None:
        self.waiting = self.most = 0
        self._open = anyio.Event()

    async def wait(self) -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self._open.wait()
        self.waiting -= 1

    def open(self) -> None:
        self._open.set()


class Gated(Farm):
    """Takes acknowledgements when the gate is open."""

    def __init__(self, documents: int, gate: Gate, *, name: str = "farm", ack_batch: int) -> None:
        super().__init__(documents, name=name, ack_batch=ack_batch)
        self.gate = gate

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        await self.gate.wait()
        return await super().acknowledge(outcomes)


async def passing(document: Document[Any]) -> Document[Any]:
    return document


def fetching(gate: Gate) -> Stage:
    """A stage with a worker for each connection."""

    async def process(document: Document[Any]) -> Document[Any]:
        await gate.wait()
        return document

    return Stage("fetch", one_by_one(process), None, Bound(10, 10**6))


@asynccontextmanager
async def running(folder: Path, *stages: Stage) -> AsyncIterator[tuple[Engine, Ledger]]:
    async with open_ledger(folder / "ledger") as ledger:
        engine = Engine(stages, ledger, Quarantine(folder / "quarantine"))
        async with engine.running():
            yield engine, ledger


async def bring(engine: Engine, ledger: Ledger, *farms: Farm) -> None:
    for farm in farms:
        documents = [farm.document(id_) for id_ in farm.open]
        await ledger.seen([(d.key, d.entry.label) for d in documents], time.time())
        for document in documents:
            await engine.dispatcher.submit(document)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.001)


async def steady(count: Callable[[], int], expected: int) -> None:
    """Wait until it is so many, and stays so many."""
    await until(lambda: count() == expected)
    for _ in range(30):
        await anyio.sleep(0.001)
        assert count() == expected


@pytest.mark.parametrize("connections", [1, 3, 16, 100])
async def test_documents_are_fetched_by_as_many_as_there_are_connections(
    tmp_path: Path, connections: int
) -> None:
    gate = Gate()
    async with (
        running(tmp_path, fetching(gate)) as (engine, ledger),
        anyio.create_task_group() as g,
    ):
        engine.resize({}, connections)
        g.start_soon(bring, engine, ledger, farm := Farm(150))
        await steady(lambda: gate.waiting, connections)
        # Those that are fetched take no room from those that wait.
        await steady(
            lambda: engine.observer.snapshot().stages["fetch"].queue.documents, connections + 10
        )
        gate.open()
    assert len(farm.told) == 150


async def test_more_connections_take_effect_at_once(tmp_path: Path) -> None:
    gate = Gate()
    async with (
        running(tmp_path, fetching(gate)) as (engine, ledger),
        anyio.create_task_group() as g,
    ):
        engine.resize({}, 4)
        g.start_soon(bring, engine, ledger, farm := Farm(150))
        await steady(lambda: gate.waiting, 4)
        engine.resize({}, 50)
        await steady(lambda: gate.waiting, 50)
        engine.resize({"fetch": Size(workers=60, queue=70)}, 50)
        await steady(lambda: gate.waiting, 60)
        assert engine.observer.snapshot().stages["fetch"].queue.max_documents == 70
        engine.resize({}, 2)
        gate.open()
    assert len(farm.told) == 150


@pytest.mark.parametrize(("connections", "batch"), [(1, 1), (20, 1), (300, 1), (1, 5), (20, 5)])
async def test_as_many_batches_are_acknowledged_at_once_as_there_are_connections(
    tmp_path: Path, connections: int, batch: int
) -> None:
    gate = Gate()
    farm = Gated(400 * batch, gate, ack_batch=batch)
    stage = Stage("work", one_by_one(passing), 1, Bound(3000, 10**6), group=100)
    async with running(tmp_path, stage) as (engine, ledger), anyio.create_task_group() as g:
        engine.resize({}, connections)
        g.start_soon(bring, engine, ledger, farm)
        await steady(lambda: gate.waiting, connections)
        gate.open()
    assert len(farm.told) == 400 * batch
    assert max(farm.batches) <= batch
    assert gate.most <= connections


async def test_fewer_connections_leave_fewer_acknowledgements_at_once(tmp_path: Path) -> None:
    first, second = Gate(), Gate()
    farm = Gated(100, first, ack_batch=1)
    stage = Stage("work", one_by_one(passing), 1, Bound(200, 10**6))
    async with running(tmp_path, stage) as (engine, ledger):
        engine.resize({}, 30)
        await bring(engine, ledger, farm)
        await steady(lambda: first.waiting, 30)
        engine.resize({}, 5)
        farm.gate = second
        first.open()
        await steady(lambda: second.waiting, 5)
        engine.resize({}, 12)
        await steady(lambda: second.waiting, 12)
        second.open()
    assert len(farm.told) == 100


async def test_what_comes_while_another_hangs_does_not_wait_for_it(tmp_path: Path) -> None:
    gate, acknowledging = Gate(), Gate()
    farms = [Gated(1, acknowledging, name=str(number), ack_batch=1) for number in range(3)]
    async with running(tmp_path, fetching(gate)) as (engine, ledger):
        engine.resize({}, 8)
        for number, farm in enumerate(farms, 1):
            await bring(engine, ledger, farm)
            await steady(lambda number=number: gate.waiting, number)  # type: ignore[misc]
        gate.open()
        await steady(lambda: acknowledging.waiting, 3)
        acknowledging.open()
    assert all(farm.told for farm in farms)


async def test_an_acknowledgement_does_not_wait_for_one_that_hangs(tmp_path: Path) -> None:
    gate = Gate()
    stage = Stage("work", one_by_one(passing), 1, Bound(10, 10**6))
    async with running(tmp_path, stage) as (engine, ledger):
        engine.resize({}, 8)
        await bring(engine, ledger, hanging := Gated(1, gate, name="hanging", ack_batch=1))
        await steady(lambda: gate.waiting, 1)
        await bring(engine, ledger, other := Farm(1, name="other"))
        await until(lambda: bool(other.told))
        gate.open()
    assert hanging.told


async def test_there_are_no_more_tasks_than_there_is_work(tmp_path: Path) -> None:
    gate = Gate()
    farm = Gated(7, gate, ack_batch=1)
    async with running(tmp_path, fetching(gate)) as (engine, ledger):
        engine.resize({}, 10_000)
        await bring(engine, ledger, farm)
        await steady(lambda: gate.waiting, 7)
        assert engine.observer.snapshot().stages["fetch"].workers <= 8
        gate.open()
        await engine.dispatcher.drained("farm")
        assert engine.observer.snapshot().stages["fetch"].workers <= 8


async def test_a_source_whose_acknowledgements_hang_holds_up_no_other(tmp_path: Path) -> None:
    gate = Gate()
    hanging = Gated(100, gate, name="hanging", ack_batch=1)
    other = Farm(100, name="other")
    stage = Stage("work", one_by_one(passing), 1, Bound(200, 10**6))
    async with running(tmp_path, stage) as (engine, ledger):
        # Each of them has a hundred connections.
        engine.resize({}, 200)
        await bring(engine, ledger, hanging, other)
        await until(lambda: len(other.told) == 100)
        assert gate.waiting == 100
        gate.open()
    assert len(hanging.told) == 100
