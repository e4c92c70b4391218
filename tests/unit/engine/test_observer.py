"""One snapshot tells what a running engine does, and does not change when the engine goes on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec
import pytest

from pipeline.document import Document
from pipeline.engine.breaker import SUSPECT_AFTER, BreakerState
from pipeline.engine.counters import BUCKETS, StageCounters
from pipeline.engine.engine import Engine
from pipeline.engine.observer import PollSnapshot, Snapshot
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import (
    AlreadyDelivered,
    Corrupt,
    InternalError,
    Rejected,
    RetryableError,
    Skipped,
    SourceUnavailable,
    SynqupError,
)
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import State
from pipeline.stage import Bound, Stage, one_by_one
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def passing(document: Document[Any]) -> Document[Any]:
    return document


def failing(errors: dict[str, type[SynqupError]]) -> Stage:
    async def process(document: Document[Any]) -> Document[Any]:
        if error := errors.get(document.key.id):
            raise error(document.entry.label, "it is so")
        return document

    return Stage("failing", one_by_one(process))


@asynccontextmanager
async def running(
    folder: Path, *stages: Stage, **options: Any
) -> AsyncIterator[tuple[Engine, Ledger]]:
    async with open_ledger(folder / "ledger") as ledger:
        engine = Engine(stages, ledger, Quarantine(folder / "quarantine"), **options)
        with anyio.fail_after(100):
            async with engine.running():
                yield engine, ledger


async def bring(engine: Engine, ledger: Ledger, farm: Farm, data: bytes = b"bytes") -> None:
    documents = [farm.document(id_, data) for id_ in farm.open]
    await ledger.seen([(d.key, d.entry.label) for d in documents], time.time())
    for document in documents:
        await engine.dispatcher.submit(document)


async def test_documents_are_counted_by_stage_and_end(tmp_path: Path) -> None:
    errors: dict[str, type[SynqupError]] = {
        "0": Rejected,
        "1": Corrupt,
        "2": Skipped,
        "3": AlreadyDelivered,
        "4": RetryableError,
        "5": RetryableError,
    }
    stages = (
        Stage("first", one_by_one(passing)),
        failing(errors),
        Stage("last", one_by_one(passing)),
    )
    async with running(tmp_path, *stages) as (engine, ledger):
        await bring(engine, ledger, Farm(10))
        await engine.dispatcher.drained("farm")
        snapshot = engine.observer.snapshot()
    first, failed, last = snapshot.stages.values()
    assert list(snapshot.stages) == ["first", "failing", "last"]
    # Document 1 was fetched three times.
    assert (first.counters.passed, first.counters.ended) == (12, {})
    assert failed.counters.passed == last.counters.passed == 4
    assert failed.counters.refetched == 2
    assert failed.counters.ended == {
        State.QUARANTINED: 2,
        State.SKIPPED: 1,
        State.DUPLICATE: 1,
        State.WAITING: 2,
    }
    assert snapshot.counters.delivered == last.counters.passed
    assert sum(failed.counters.ended.values()) + last.counters.passed == snapshot.counters.done
    assert snapshot.counters.listed == snapshot.counters.done == 10


async def test_queues_are_told_in_documents_and_bytes_and_a_snapshot_stays_as_it_is(
    tmp_path: Path,
) -> None:
    gate = anyio.Event()

    async def wait(document: Document[Any]) -> Document[Any]:
        await gate.wait()
        return document

    stage = Stage("slow", one_by_one(wait), 2, Bound(50, 1000))
    async with running(tmp_path, stage) as (engine, ledger):
        await bring(engine, ledger, Farm(5), b"twelve bytes")
        await anyio.wait_all_tasks_blocked()
        snapshot = engine.observer.snapshot()
        gate.set()
        await engine.dispatcher.drained("farm")
        after = engine.observer.snapshot()
    slow = snapshot.stages["slow"]
    assert (slow.workers, slow.counters.passed, slow.counters.seconds) == (2, 0, 0.0)
    assert (slow.queue.documents, slow.queue.bytes) == (5, 60)
    assert (slow.queue.max_documents, slow.queue.max_bytes) == (50, 1000)
    assert (snapshot.sources["farm"].in_flight, snapshot.counters.listed) == (5, 5)
    assert after.stages["slow"].queue.documents == after.stages["slow"].queue.bytes == 0
    assert after.stages["slow"].counters.seconds > 0
    assert after.acknowledgements.documents == after.sources["farm"].in_flight == 0
    assert (after.counters.delivered, after.counters.bytes) == (5, 60)
    assert after.uptime >= snapshot.uptime


async def test_acknowledgements_that_wait_are_told(tmp_path: Path) -> None:
    gate = anyio.Event()

    class Slow(Farm):
        async def acknowledge(self, outcomes: Any) -> None:
            await gate.wait()
            await super().acknowledge(outcomes)

    async with running(tmp_path, failing({"0": Rejected})) as (engine, ledger):
        await bring(engine, ledger, Slow(3))
        with anyio.fail_after(60):
            while engine.observer.snapshot().acknowledgements.documents < 3:
                await anyio.sleep(0.001)
        # Only a reason takes room.
        assert engine.observer.snapshot().acknowledgements.bytes == len("document 0: it is so.")
        gate.set()


async def test_the_polls_of_a_source_are_told(tmp_path: Path) -> None:
    async with running(tmp_path, Stage("stage", one_by_one(passing))) as (engine, _):
        observer = engine.observer

        def poll() -> PollSnapshot:
            return observer.snapshot().sources["box"].poll

        assert not observer.snapshot().sources
        with observer.polling("box"):
            began = poll()
            assert began.began_at is not None
            assert began.ended_at is began.succeeded_at is None
        well = poll()
        assert well.succeeded_at == well.ended_at >= well.began_at  # type: ignore[operator]
        with pytest.raises(SourceUnavailable), observer.polling("box"):
            raise SourceUnavailable("source box", "no answer")
        failed = poll()
        assert failed.error.startswith("source box: no answer.")
        assert failed.succeeded_at == well.succeeded_at
        with anyio.CancelScope() as scope, observer.polling("box"):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        cut_off = poll()
        assert (cut_off.ended_at, cut_off.error) == (failed.ended_at, failed.error)
        with observer.polling("box"):
            pass
        assert not poll().error


async def test_a_failure_keeps_the_time_of_the_first_one_and_its_parts(tmp_path: Path) -> None:
    async with running(tmp_path, Stage("stage", one_by_one(passing))) as (engine, _):
        observer = engine.observer

        def poll() -> PollSnapshot:
            return observer.snapshot().sources["box"].poll

        # It could not even be opened.
        error = SourceUnavailable("source box", "no answer", "Look at the cable")
        observer.poll_failed("box", error)
        first = poll()
        assert first.failing_since == first.ended_at
        assert (first.reason, first.remedy) == ("no answer", "Look at the cable")
        with pytest.raises(SourceUnavailable), observer.polling("box"):
            raise SourceUnavailable("source box", "another reason")
        assert (poll().failing_since, poll().reason) == (first.failing_since, "another reason")
        with observer.polling("box"):
            assert poll().failing_since == first.failing_since
        assert (poll().failing_since, poll().reason, poll().remedy) == (None, "", "")


async def test_documents_are_counted_by_source(tmp_path: Path) -> None:
    async with running(tmp_path, failing({"0": Rejected, "1": Skipped})) as (engine, ledger):
        for farm in (Farm(3), Farm(2, name="other")):
            await bring(engine, ledger, farm, b"twelve bytes")
        await engine.dispatcher.drained("farm")
        await engine.dispatcher.drained("other")
        snapshot = engine.observer.snapshot()
    farm_, other = snapshot.sources["farm"].counters, snapshot.sources["other"].counters
    assert (farm_.listed, farm_.delivered, farm_.bytes) == (3, 1, 12)
    assert (other.listed, other.delivered) == (2, 0)
    assert farm_.quarantined == farm_.skipped == other.quarantined == other.skipped == 1
    assert snapshot.counters.done == farm_.done + other.done == 5


async def test_what_groups_take_is_counted_in_buckets(tmp_path: Path) -> None:
    counters = StageCounters()
    for seconds in (0.0, BUCKETS[0], BUCKETS[0] * 1.01, BUCKETS[-1], BUCKETS[-1] * 9):
        counters.count_group(seconds)
    assert counters.groups[0] == 2
    assert counters.groups[1] == counters.groups[-2] == counters.groups[-1] == 1
    async with running(tmp_path, Stage("stage", one_by_one(passing), group=3)) as (engine, ledger):
        await bring(engine, ledger, Farm(9))
        await engine.dispatcher.drained("farm")
        before = engine.observer.snapshot().stages["stage"].counters
        await bring(engine, ledger, Farm(1, name="other"))
        await engine.dispatcher.drained("other")
        after = engine.observer.snapshot().stages["stage"].counters
    assert 3 <= sum(before.groups) <= 9
    assert sum(after.groups) == sum(before.groups) + 1


async def test_the_states_of_breakers_are_told(tmp_path: Path) -> None:
    async with running(tmp_path, Stage("stage", one_by_one(passing))) as (engine, _):
        for name, failures in (("well", 1), ("ill", SUSPECT_AFTER), ("mixed", SUSPECT_AFTER)):
            if name == "mixed":
                engine.breaker.record_success(name)
            for _ in range(failures):
                engine.breaker.record_failure(name, SourceUnavailable(name, "500"))
        engine.breaker.stop("buggy", InternalError("source buggy"))
        sources = engine.observer.snapshot().sources
        assert {name: source.breaker for name, source in sources.items()} == {
            "buggy": BreakerState.OPEN,
            "ill": BreakerState.OPEN,
            "mixed": BreakerState.SUSPECT,
            "well": BreakerState.CLOSED,
        }
        assert sources["ill"].reason.startswith("ill: 500.")
        assert not sources["mixed"].reason


async def test_a_snapshot_goes_through_json(tmp_path: Path) -> None:
    async with running(tmp_path, failing({"0": Rejected})) as (engine, ledger):
        with engine.observer.polling("farm"):
            await bring(engine, ledger, Farm(2))
            await engine.dispatcher.drained("farm")
        snapshot = engine.observer.snapshot()
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot


async def test_an_instrument_is_put_around_each_stage_and_the_acknowledging(
    tmp_path: Path,
) -> None:
    called: list[str] = []

    def instrument(name: str, work: Callable[..., Awaitable[T]], /) -> Callable[..., Awaitable[T]]:
        async def wrapped(*arguments: Any) -> T:
            called.append(name)
            return await work(*arguments)

        return wrapped

    stages = [Stage(name, one_by_one(passing)) for name in ("a", "b")]
    farm = Farm(1)
    async with running(tmp_path, *stages, instrument=instrument) as (engine, ledger):
        await bring(engine, ledger, farm)
        await engine.dispatcher.drained("farm")
    assert called == ["a", "b", "acknowledge"]
    assert farm.told[0].accepted
