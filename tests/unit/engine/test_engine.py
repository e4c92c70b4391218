"""The engine sees each document to its end, whatever happens to others, to stages, to acks."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Struct

from pipeline.document import Ack, Document, Key
from pipeline.engine.breaker import SUSPECT_AFTER
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import (
    Corrupt,
    Rejected,
    RetryableError,
    SignInRefused,
    SourceUnavailable,
)
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import State
from pipeline.ledger.summary import Summary, summarise
from pipeline.payload import Payload
from pipeline.source import Entry
from pipeline.stage import Bound, Stage, one_by_one
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio


class Sizes(Struct, frozen=True):
    workers: int | None = None
    queue: int | None = None
    queue_bytes: int | None = None


async def passing(document: Document[Any]) -> Document[Any]:
    return document


def refusing(*ids: str, error: type[Exception] = Rejected) -> Stage:
    async def process(document: Document[Any]) -> Document[Any]:
        if document.key.id in ids:
            raise error(document.entry.label, "it is one of those")
        return document

    return Stage("refuse", one_by_one(process), workers=2)


class Bench:
    """An engine with a real ledger and quarantine in a folder of its own."""

    def __init__(self, engine: Engine, ledger: Ledger, folder: Path) -> None:
        self.engine = engine
        self.ledger = ledger
        self.folder = folder

    async def bring(self, farm: Farm, data: bytes = b"bytes") -> None:
        documents = [farm.document(id_, data) for id_ in farm.open]
        await self.ledger.seen([(d.key, d.entry.label) for d in documents], time.time())
        for document in documents:
            await self.engine.dispatcher.submit(document)

    def summary(self) -> Summary:
        return summarise(self.folder / "ledger")

    def states(self) -> dict[str, int]:
        return {count.state.value: count.documents for count in self.summary().counts}


@asynccontextmanager
async def bench(folder: Path, *stages: Stage) -> AsyncIterator[Bench]:
    async with open_ledger(folder / "ledger") as ledger:
        yield Bench(Engine(stages, ledger, Quarantine(folder / "quarantine")), ledger, folder)


async def test_documents_pass_all_stages_in_order_and_are_acknowledged_once(
    tmp_path: Path,
) -> None:
    passed: list[tuple[str, str]] = []

    def noting(name: str) -> Stage:
        async def process(document: Document[Any]) -> Document[Any]:
            passed.append((document.key.id, name))
            return document

        return Stage(name, one_by_one(process), workers=3)

    farm = Farm(50)
    async with bench(tmp_path, noting("a"), noting("b"), noting("c")) as it:
        async with it.engine.running():
            await it.bring(farm)
        assert it.engine.counters.delivered == 50
    assert sorted(outcome.id for outcome in farm.told) == sorted(str(n) for n in range(50))
    assert all(outcome.accepted for outcome in farm.told)
    for id_ in range(50):
        assert [name for seen, name in passed if seen == str(id_)] == ["a", "b", "c"]


async def test_a_refused_document_is_quarantined_and_the_others_arrive(tmp_path: Path) -> None:
    farm = Farm(10)
    async with bench(tmp_path, refusing("3", "7")) as it:
        async with it.engine.running():
            await it.bring(farm, b"the bytes")
        assert it.states() == {"quarantined": 2, "seen": 8}
        assert {kept.id for kept in it.summary().quarantine} == {"3", "7"}
    errors = {o.id: o.reason for o in farm.told if not o.accepted}
    assert set(errors) == {"3", "7"}
    assert errors["3"] == "document 3: it is one of those."
    note = json.loads(next((tmp_path / "quarantine/farm").glob("document_3-*.json")).read_text())
    assert note["reason"] == errors["3"]
    assert (
        next((tmp_path / "quarantine/farm").glob("document_3-*.bin")).read_bytes() == b"the bytes"
    )


@pytest.mark.parametrize("error", [RetryableError, SourceUnavailable, SignInRefused])
async def test_a_document_that_failed_for_now_waits_unacknowledged(
    tmp_path: Path, error: type[Exception]
) -> None:
    farm = Farm(3)
    async with bench(tmp_path, refusing("1", error=error)) as it:
        async with it.engine.running():
            await it.bring(farm)
        assert it.states()["waiting"] == 1
        assert it.summary().waiting[0].reason.startswith("document 1: it is one of those.")
    assert farm.open == ["1"]
    assert not (tmp_path / "quarantine").exists()


async def test_a_full_disk_makes_documents_wait(tmp_path: Path) -> None:
    farm = Farm(2)
    async with bench(tmp_path, refusing("0", error=OSError)) as it:
        async with it.engine.running():
            await it.bring(farm)
        assert it.states() == {"seen": 1, "waiting": 1}


async def test_the_slowest_stage_sets_the_pace(tmp_path: Path) -> None:
    gate = anyio.Event()

    async def process(document: Document[Any]) -> Document[Any]:
        await gate.wait()
        return document

    farm = Farm(100)
    fast = Stage("fast", one_by_one(passing), 1, Bound(4, 10**6))
    slow = Stage("slow", one_by_one(process), 1, Bound(4, 10**6))
    async with bench(tmp_path, fast, slow) as it:
        async with it.engine.running(), anyio.create_task_group() as group:
            group.start_soon(it.bring, farm)
            while (
                it.engine.observer.snapshot().stages["fast"].queue.documents < 4
                or it.engine.observer.snapshot().stages["slow"].queue.documents < 4
            ):
                await anyio.sleep(0.001)
            await anyio.sleep(0.02)
            assert it.engine.counters.listed <= 8
            gate.set()
        assert it.engine.counters.delivered == 100


async def test_more_and_fewer_workers_take_effect_while_running(tmp_path: Path) -> None:
    gate = anyio.Event()
    at_work = 0

    async def process(document: Document[Any]) -> Document[Any]:
        nonlocal at_work
        at_work += 1
        await gate.wait()
        at_work -= 1
        return document

    async def at_work_are(count: int) -> None:
        """Wait until so many are, and stay so many while more documents wait."""
        steady = 0
        with anyio.fail_after(60):
            while steady < 30:
                await anyio.sleep(0.001)
                waiting = it.engine.observer.snapshot().stages["work"].queue.documents
                steady = steady + 1 if at_work == count < waiting else 0

    farm = Farm(60)
    async with bench(tmp_path, Stage("work", one_by_one(process), 1, Bound(50, 10**6))) as it:
        async with it.engine.running(), anyio.create_task_group() as group:
            group.start_soon(it.bring, farm)
            await at_work_are(1)
            it.engine.resize({"work": Sizes(workers=5)})
            await at_work_are(5)
            it.engine.resize({"work": Sizes(workers=2)})
            gate.set()
            gate = anyio.Event()
            await at_work_are(2)
            gate.set()
            it.engine.resize({})
            gate = anyio.Event()
            gate.set()
        assert it.engine.counters.delivered == 60


async def test_a_document_in_flight_is_not_taken_in_again(tmp_path: Path) -> None:
    gate = anyio.Event()

    async def process(document: Document[Any]) -> Document[Any]:
        await gate.wait()
        return document

    farm = Farm(1)
    async with bench(tmp_path, Stage("work", one_by_one(process))) as it, it.engine.running():
        document = farm.document("0")
        await it.ledger.seen([(document.key, "")], 1.0)
        assert await it.engine.dispatcher.submit(document)
        assert not await it.engine.dispatcher.submit(document)
        gate.set()
        await it.engine.dispatcher.drained("farm")
        assert it.engine.dispatcher.in_flight_count("farm") == 0
    assert len(farm.told) == 1


async def test_acknowledgements_go_out_in_batches_where_the_source_takes_them(
    tmp_path: Path,
) -> None:
    farm = Farm(100, ack_batch=25)
    stage = Stage("work", one_by_one(passing), 8, Bound(200, 10**6))
    async with bench(tmp_path, stage) as it, it.engine.running():
        await it.bring(farm)
    assert len(farm.told) == 100
    assert max(farm.batches) <= 25
    assert len(farm.batches) < 100


async def test_an_acknowledgement_that_fails_stays_open_in_the_ledger(tmp_path: Path) -> None:
    farm = Farm(2)
    farm.trouble = SignInRefused("farm")
    async with bench(tmp_path, refusing("1")) as it:
        async with it.engine.running():
            await it.bring(farm)
        open_ones = await it.ledger.unacknowledged("farm")
        assert [(key.id, known.state) for key, known in open_ones] == [("1", State.QUARANTINED)]


async def test_a_source_that_fails_again_and_again_is_given_up_for_now(tmp_path: Path) -> None:
    farm = Farm(SUSPECT_AFTER)
    stage = refusing(*farm.open, error=SourceUnavailable)
    async with bench(tmp_path, stage) as it, it.engine.running():
        await it.bring(farm)
        await it.engine.dispatcher.drained("farm")
        assert isinstance(it.engine.dispatcher.open_reason("farm"), SourceUnavailable)
        it.engine.dispatcher.reset_breaker("farm")
        assert it.engine.dispatcher.open_reason("farm") is None


async def test_a_damaged_document_is_fetched_again_while_others_go_on(tmp_path: Path) -> None:
    fetched: Counter[str] = Counter()
    passed: list[str] = []

    async def fetch(document: Document[Any]) -> Document[Any]:
        fetched[document.key.id] += 1
        return document.with_meta("fetched")

    async def verify(document: Document[Any]) -> Document[Any]:
        assert document.meta == "fetched"
        wanted = {"1": 2, "2": 99}.get(document.key.id, 1)
        if fetched[document.key.id] < wanted:
            raise Corrupt(document.entry.label, "it is broken")
        passed.append(document.key.id)
        return document

    # One document fills the queues: whoever waited for room to put one back would wait for ever.
    small = Bound(1, 1000)
    farm = Farm(5)
    stages = [Stage(one.__name__, one_by_one(one), queue=small) for one in (fetch, verify)]
    async with bench(tmp_path, *stages) as it:
        async with it.engine.running():
            with anyio.fail_after(60):
                await it.bring(farm, b"bytes")
                await it.engine.dispatcher.drained("farm")
        assert it.states() == {"quarantined": 1, "seen": 4}
        (kept,) = it.summary().quarantine
        assert kept.reason.startswith("document 2: it is broken; it was fetched 3 times")
    assert fetched == {"0": 1, "1": 2, "2": 3, "3": 1, "4": 1}
    assert sorted(passed) == ["0", "1", "3", "4"]
    assert [o.id for o in farm.told if not o.accepted] == ["2"]


async def test_what_is_damaged_while_the_program_stops_waits(tmp_path: Path) -> None:
    farm = Farm(1)
    async with bench(tmp_path, refusing("0", error=Corrupt)) as it:
        async with it.engine.running():
            await it.bring(farm)
        assert it.states() == {"waiting": 1}
    assert not farm.told


#: Letters of two bytes each.
LONG = "\N{CYRILLIC CAPITAL LETTER ZHE}" * 200


@pytest.mark.parametrize("label", [LONG, "x" * 400, "\u0001", ""])
async def test_a_label_of_any_length_is_kept_in_quarantine_and_leaves_it(
    tmp_path: Path, label: str
) -> None:
    quarantine = Quarantine(tmp_path / "quarantine")
    key = Key(f"box {LONG}", "1", "")
    entry = Entry("1", "", label, None)
    source = Farm(documents=0)
    document = Document(key, entry, Ack(source, "1"), 0.0, None, Payload(3, "", b"abc"))
    await quarantine.keep(document, "why")
    kept = sorted(path.suffix for path in quarantine.folder.rglob("*.*"))
    assert kept == [".bin", ".json"]
    # Another one that starts finds what an earlier one kept.
    await Quarantine(quarantine.folder).remove(key)
    assert not list(quarantine.folder.rglob("*.*"))
