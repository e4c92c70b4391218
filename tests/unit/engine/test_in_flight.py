"""Every document that is taken in comes to exactly one end, whatever the stages do."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st
from msgspec import Struct, structs
from structlog.testing import capture_logs

from pipeline.document import Document
from pipeline.engine.engine import Engine
from pipeline.engine.in_flight import InFlight
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import (
    Corrupt,
    Rejected,
    RetryableError,
    Skipped,
    SourceUnavailable,
)
from pipeline.ledger.ledger import open_ledger
from pipeline.stage import Bound, Result, Stage
from tests.helpers.farm import Farm

WAYS: dict[str, type[Exception] | None] = {
    "pass": None,
    "refuse": Rejected,
    "damage": Corrupt,
    "leave": Skipped,
    "wait": RetryableError,
    "source": SourceUnavailable,
    "disk": OSError,
    "bug": KeyError,
    "group": None,
    "hang": None,
}


class Plan(Struct, frozen=True):
    """ways: what each document meets in each of three stages. cancels: whose offer is cancelled."""

    ways: list[tuple[str, ...]]
    group: int
    workers: int
    room: int
    cancels: set[int]
    stop: bool

    @property
    def ends_by_itself(self) -> bool:
        return not self.stop and not any("hang" in ways for ways in self.ways)

    def stage(self, place: int) -> Stage:
        async def work(documents: Sequence[Document[Any]]) -> list[Result]:
            await anyio.lowlevel.checkpoint()
            ways = [self.ways[int(document.key.id)][place] for document in documents]
            if "hang" in ways:
                await anyio.sleep_forever()
            if "bug" in ways or ("group" in ways and len(ways) > 1):
                raise KeyError
            if "disk" in ways:
                raise OSError
            return [
                document if (error := WAYS[way]) is None else error("it", "is so")  # type: ignore[misc]
                for document, way in zip(documents, ways, strict=True)
            ]

        return Stage(f"stage {place}", work, self.workers, Bound(self.room, 1000), self.group)


@settings(max_examples=30)
@given(
    st.builds(
        Plan,
        ways=st.lists(st.tuples(*[st.sampled_from([*WAYS])] * 3), min_size=1, max_size=25),
        group=st.integers(1, 8),
        workers=st.integers(1, 3),
        room=st.integers(1, 6),
        cancels=st.sets(st.integers(0, 24)),
        stop=st.booleans(),
    )
)
def test_every_document_comes_to_one_end_and_none_stays_in_flight(plan: Plan) -> None:
    with tempfile.TemporaryDirectory() as folder, capture_logs():
        anyio.run(_one_end, Path(folder), plan)


async def _one_end(folder: Path, plan: Plan) -> None:
    farm = Farm(len(plan.ways))
    taken = 0

    async def offer(number: int, document: Document[Any]) -> None:
        nonlocal taken
        with anyio.CancelScope() as scope:
            if number in plan.cancels:
                offering.start_soon(_cancel, scope)
            came = await engine.dispatcher.submit(document)
            taken += came

    async with open_ledger(folder / "ledger") as ledger:
        stages = [plan.stage(place) for place in range(3)]
        engine = Engine(stages, ledger, Quarantine(folder / "quarantine"))
        documents = [farm.document(id_) for id_ in farm.open]
        await ledger.seen([(d.key, d.entry.label) for d in documents], 1.0)
        with anyio.CancelScope() as everything, anyio.fail_after(60):
            async with engine.running(), anyio.create_task_group() as offering:
                for number, document in enumerate(documents):
                    offering.start_soon(offer, number, document)
                if not plan.ends_by_itself:
                    for _ in range(50):
                        await anyio.lowlevel.checkpoint()
                    everything.cancel()
        assert not engine.dispatcher.in_flight_count("farm")
        assert not engine._in_flight._counts
        told = Counter(outcome.id for outcome in farm.told)
        assert set(told.values()) <= {1}
        assert engine.counters.done <= taken
        if plan.ends_by_itself:
            assert engine.counters.listed == engine.counters.done == taken
            assert told.total() == taken - engine.counters.waiting


async def _cancel(scope: anyio.CancelScope) -> None:
    await anyio.lowlevel.checkpoint()
    scope.cancel()


@pytest.mark.anyio
async def test_of_an_id_one_revision_is_in_flight_at_a_time() -> None:
    flights, farm = InFlight(), Farm(2)
    first, other = farm.document("0"), farm.document("1")
    key = structs.replace(first.key, revision="2")
    assert flights.add(first.key, first)
    assert flights.has_id("farm", "0")
    assert not flights.add(first.key, first)
    assert not flights.add(key, first)
    assert flights.get(key) is None
    assert flights.add(other.key, other)
    flights.remove(key)
    assert flights.of("farm") == {first.key, other.key}
    for _ in range(2):
        flights.remove(first.key)
    assert flights.count("farm") == 1
    assert flights.add(key, first)


@pytest.mark.anyio
async def test_nobody_waits_for_what_a_retired_source_has_shown() -> None:
    flights = InFlight()
    retired, following = Farm(1), Farm(1)
    held = retired.document("0")
    flights.add(held.key, held)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(flights.drained, "farm")
            await anyio.wait_all_tasks_blocked()
            group.start_soon(flights.retire, retired)
            await anyio.wait_all_tasks_blocked()
            assert not flights.count("farm")
            assert not flights.add(held.key, following.document("0"))
            flights.remove(held.key)
        await flights.drained("farm")
        await flights.retire(retired)
