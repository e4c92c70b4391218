"""What a bug of ours in a stage does to documents: as little as can be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from pipeline.document import Document
from pipeline.engine.breaker import GIVE_UP_AFTER
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.engine.runner import STOP_AFTER
from pipeline.errors import (
    InternalError,
    Rejected,
    RetryableError,
    Skipped,
    SourceError,
    SourceUnavailable,
    StateError,
)
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.summary import Summary, summarise
from pipeline.stage import Bound, Result, Stage, one_by_one
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio

#: Raises, or lets a document of this id pass.
Try = Callable[[str], None]


def _documents(farm: Farm) -> list[Document[Any]]:
    return [farm.document(id_) for id_ in farm.open]


class Bench:
    """An engine with a real ledger; what it does to a farm's documents."""

    def __init__(self, engine: Engine, ledger: Ledger, folder: Path) -> None:
        self.engine = engine
        self.ledger = ledger
        self.folder = folder

    async def bring(self, *farms: Farm) -> None:
        for documents in zip(*map(_documents, farms), strict=True):
            await self.ledger.seen([(d.key, d.entry.label) for d in documents], time.time())
            for document in documents:
                await self.engine.dispatcher.submit(document)
        for farm in farms:
            await self.engine.dispatcher.drained(farm.name)

    def summary(self) -> Summary:
        return summarise(self.folder / "ledger")


@asynccontextmanager
async def bench(folder: Path, *stages: Stage) -> AsyncIterator[Bench]:
    async with open_ledger(folder / "ledger") as ledger:
        engine = Engine(stages, ledger, Quarantine(folder / "quarantine"))
        with anyio.fail_after(100):
            async with engine.running():
                yield Bench(engine, ledger, folder)
        assert not any(engine.dispatcher.in_flight_count(name) for name in ("farm", "other"))


def grouped(attempt: Try, group: int = 10, workers: int = 1, linger: float = 0.05) -> Stage:
    """A stage that works on groups, and of which one document takes all down."""

    async def work(documents: Sequence[Document[Any]]) -> list[Result]:
        for document in documents:
            attempt(document.key.id)
        await anyio.lowlevel.checkpoint()
        return list(documents)

    return Stage("group", work, workers, Bound(100, 1000), group, linger)


def single(attempt: Try, workers: int = 2) -> Stage:
    async def process(document: Document[Any]) -> Document[Any]:
        attempt(document.key.id)
        return document

    return Stage("single", one_by_one(process), workers)


def ends(farm: Farm) -> dict[str, bool]:
    return {outcome.id: outcome.accepted for outcome in farm.told}


@pytest.mark.parametrize("make", [grouped, single])
@pytest.mark.parametrize("error", [KeyError, RecursionError, UnicodeError, MemoryError])
async def test_a_bug_that_hits_all_sets_none_aside_and_stops_the_source_for_this_poll(
    tmp_path: Path, make: Callable[[Try], Stage], error: type[Exception]
) -> None:
    tried: Counter[str] = Counter()

    def fail(id_: str) -> None:
        tried[id_] += 1
        raise error("ours")

    farm = Farm(65)
    with capture_logs() as logs:
        async with bench(tmp_path, make(fail)) as it:
            await it.bring(farm)
            assert not farm.told
            assert not it.summary().quarantine
            assert len(it.summary().waiting) == 65
            fault = it.engine.dispatcher.open_reason("farm")
            assert isinstance(fault, InternalError)
            assert f"a fault of synqup's own ({error.__name__})" in str(fault)
            assert "Send the log to support" in str(fault)
            # Nobody goes on with what fails each time.
            assert sum(count > 1 for count in tried.values()) <= STOP_AFTER + 2
            it.engine.dispatcher.reset_breaker("farm")
            assert it.engine.dispatcher.open_reason("farm") is None
    traces = [line for line in logs if line.get("exc_info")]
    assert len(traces) == 1
    assert isinstance(traces[0]["exc_info"], error)


@pytest.mark.parametrize("make", [grouped, single])
async def test_one_document_that_a_bug_hits_is_set_aside_alone(
    tmp_path: Path, make: Callable[[Try], Stage]
) -> None:
    tried: Counter[str] = Counter()

    def fail(id_: str) -> None:
        tried[id_] += 1
        if id_ == "37":
            raise KeyError(id_)

    farm = Farm(60)
    async with bench(tmp_path, make(fail)) as it:
        await it.bring(farm)
        (kept,) = it.summary().quarantine
        assert kept.id == "37"
        assert "failed on it twice by a fault of synqup's own (KeyError)" in kept.reason
        assert "Send the log and the document to support" in kept.reason
        assert it.engine.dispatcher.open_reason("farm") is None
        assert it.engine.breaker.fault is None
    assert ends(farm) == {str(n): n != 37 for n in range(60)}
    assert tried["37"] >= 2


@pytest.mark.parametrize("make", [grouped, single])
async def test_a_bug_that_begins_later_sets_one_aside_at_most(
    tmp_path: Path, make: Callable[[Try], Stage]
) -> None:
    def fail(id_: str) -> None:
        if int(id_) >= 30:
            raise KeyError(id_)

    farm = Farm(100)
    async with bench(tmp_path, make(fail)) as it:
        await it.bring(farm)
        assert len(it.summary().quarantine) <= 1
        assert isinstance(it.engine.dispatcher.open_reason("farm"), InternalError)
    told = Counter(ends(farm).values())
    assert told[True] == 30
    assert told[False] <= 1


async def test_a_document_that_fails_alone_once_only_goes_on(tmp_path: Path) -> None:
    tried: Counter[str] = Counter()

    def fail(id_: str) -> None:
        tried[id_] += 1
        if id_ == "5" and tried[id_] < 3:
            raise KeyError(id_)

    farm = Farm(10)
    async with bench(tmp_path, grouped(fail)) as it:
        await it.bring(farm)
    assert set(ends(farm).values()) == {True}


async def test_a_poison_that_comes_first_waits_until_others_get_through(tmp_path: Path) -> None:
    def fail(id_: str) -> None:
        if id_ == "0":
            raise KeyError(id_)

    farm = Farm(1)
    async with bench(tmp_path, single(fail)) as it:
        await it.bring(farm)
        assert not farm.told
        assert isinstance(it.engine.breaker.fault_of("farm"), InternalError)
        farm.open = ["1", "0"]
        await it.bring(farm)
        farm.open = ["0"]
        await it.bring(farm)
    assert ends(farm) == {"1": True, "0": False}


async def test_the_documents_of_other_sources_keep_flowing(tmp_path: Path) -> None:
    async def work(documents: Sequence[Document[Any]]) -> list[Result]:
        if any(document.key.source == "farm" for document in documents):
            raise KeyError("ours")
        return list(documents)

    stage = Stage("group", work, 2, Bound(100, 1000), 10, 0.01)
    sick, well = Farm(50), Farm(50, name="other")
    async with bench(tmp_path, stage) as it:
        await it.bring(sick, well)
        assert it.engine.dispatcher.open_reason("other") is None
        assert it.engine.breaker.fault_of("other") is None
        assert isinstance(it.engine.dispatcher.open_reason("farm"), InternalError)
    assert not sick.told
    assert len(well.told) == 50


async def test_what_the_system_refuses_a_whole_group_makes_it_wait(tmp_path: Path) -> None:
    def fail(id_: str) -> None:
        raise OSError(30, "Read-only file system", "/mnt/books")

    farm = Farm(30)
    async with bench(tmp_path, grouped(fail)) as it:
        await it.bring(farm)
        assert len(it.summary().waiting) == 30
        assert "Read-only file system (/mnt/books)" in it.summary().waiting[0].reason
        assert it.engine.breaker.fault is None
    assert not farm.told


@pytest.mark.parametrize("results", [[], [None], None])
async def test_results_that_are_none_are_a_bug_of_the_stage(
    tmp_path: Path, results: list[Result]
) -> None:
    async def work(documents: Sequence[Document[Any]]) -> list[Result]:
        return results

    farm = Farm(3)
    async with bench(tmp_path, Stage("odd", work)) as it:
        await it.bring(farm)
        assert len(it.summary().waiting) == 3
    assert not farm.told


async def test_a_ledger_that_is_lost_ends_the_run_also_within_a_group_of_errors(
    tmp_path: Path,
) -> None:
    def fail(id_: str) -> None:
        raise ExceptionGroup("", [KeyError(), ExceptionGroup("", [StateError("the ledger")])])

    with pytest.raises(BaseExceptionGroup) as died:
        async with bench(tmp_path, grouped(fail)) as it:
            await it.bring(Farm(3))
    assert died.group_contains(StateError)


class Broken(Quarantine):
    async def keep(self, document: Document[Any], reason: str) -> None:
        raise ValueError("embedded null byte")


async def test_a_quarantine_that_a_bug_hits_leaves_the_document_waiting(tmp_path: Path) -> None:
    def fail(id_: str) -> None:
        if id_ == "3":
            raise Rejected(id_)

    farm = Farm(5)
    async with open_ledger(tmp_path / "ledger") as ledger:
        engine = Engine([single(fail)], ledger, Broken(tmp_path))
        async with engine.running():
            await Bench(engine, ledger, tmp_path).bring(farm)
            assert isinstance(engine.breaker.fault_of("farm"), InternalError)
    assert farm.open == ["3"]


async def test_a_reason_that_the_ledger_can_not_take_leaves_the_document_waiting(
    tmp_path: Path,
) -> None:
    def fail(id_: str) -> None:
        errors = {"3": Skipped(id_), "4": RetryableError(id_)}
        if error := errors.get(id_):
            # No error is made of such a text; a bug of ours may still bring one about.
            error.reason = "\ud800"
            raise error

    farm = Farm(6)
    async with bench(tmp_path, single(fail)) as it:
        await it.bring(farm)
        assert it.engine.counters.waiting == 2
    assert farm.open == ["3", "4"]


async def test_a_file_that_can_not_be_let_go_of_stops_nobody(tmp_path: Path) -> None:
    class Clinging(Document[Any]):
        async def release(self) -> None:
            raise ValueError("ours")

    async def cling(document: Document[Any]) -> Document[Any]:
        return Clinging(document.key, document.entry, document.ack, 0.0, None)

    farm = Farm(5)
    async with bench(tmp_path, Stage("cling", one_by_one(cling))) as it:
        await it.bring(farm)
    assert set(ends(farm).values()) == {True}


class Muddled(Farm):
    """Its acknowledgements meet a bug of ours."""

    async def acknowledge(self, outcomes: Sequence[Any]) -> Collection[str]:
        raise ExceptionGroup("", [KeyError("ours")])


async def test_acknowledgements_that_a_bug_hits_stay_open_and_stop_their_source_alone(
    tmp_path: Path,
) -> None:
    sick, well = Muddled(20), Farm(20, name="other")
    async with bench(tmp_path, single(lambda _: None)) as it:
        await it.bring(sick, well)
        assert isinstance(it.engine.dispatcher.open_reason("farm"), InternalError)
        assert len(well.told) == 20
        assert it.engine.dispatcher.open_reason("other") is None


# The breaker


async def test_a_refusal_of_single_documents_never_counts_against_the_source(
    tmp_path: Path,
) -> None:
    def fail(id_: str) -> None:
        raise SourceError(id_, "403")

    farm = Farm(GIVE_UP_AFTER + 50)
    async with bench(tmp_path, single(fail)) as it:
        await it.bring(farm)
        assert it.engine.dispatcher.open_reason("farm") is None
        assert it.engine.counters.waiting == GIVE_UP_AFTER + 50


async def test_each_document_that_is_served_shows_that_the_source_is_at_work(
    tmp_path: Path,
) -> None:
    """Also where it does not arrive in the end."""

    def fetch(id_: str) -> None:
        if int(id_) % 3:
            raise SourceUnavailable(id_, "500")

    def write(id_: str) -> None:
        raise RetryableError(id_, "no folder")

    farm = Farm(300)
    async with bench(tmp_path, single(fetch), single(write)) as it:
        await it.bring(farm)
        assert it.engine.dispatcher.open_reason("farm") is None
