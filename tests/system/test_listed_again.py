"""What a list shows again, whatever it says of it and whatever the clock says, comes once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from msgspec import structs

from pipeline.document import Document
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import Rejected, RetryableError, SignInRefused, SourceUnavailable
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import State
from pipeline.source import Entry
from pipeline.stage import Stage, one_by_one
from stages.list import Lister
from stages.sandbox import FaultSpec
from stages.sandbox.corpus import Revision
from stages.sandbox.mailbox import Page
from stages.sandbox.state_index import State as MailboxState
from tests.helpers.farm import NOBODY, Farm
from tests.helpers.trial import Trial, trial

pytestmark = pytest.mark.anyio

#: Seconds that a clock jumps.
JUMPS = [-86_400.0, 86_400.0]


def states(it: Trial) -> Counter[State]:
    found: Counter[State] = Counter()
    for one in it.summary().counts:
        found[one.state] += one.documents
    return found


def moving(it: Trial) -> None:
    """Have each listing state another revision of every document."""
    numbers = count(1)
    page = it.mailbox.page

    def moved(*where: Any, **more: Any) -> Page:
        found = page(*where, **more)
        documents = [
            (structs.replace(document, revision=Revision(next(numbers))), state)
            for document, state in found.documents
        ]
        return Page(documents, found.total)

    it.mailbox.page = moved  # type: ignore[method-assign]


def jump(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + seconds)


@pytest.mark.parametrize("seconds", JUMPS)
async def test_what_waits_is_fetched_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    async with trial(tmp_path, FaultSpec("forbidden", on="document", share=0.2)) as it:
        outcome = await it.bring(it.config())
        assert outcome.counters.waiting
        it.faults.specs = ()
        jump(monkeypatch, seconds)
        await it.bring(it.config())
        assert it.delivered() == it.held()


@pytest.mark.parametrize("seconds", JUMPS)
async def test_what_was_put_back_is_told_again_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    async with trial(tmp_path, documents=12) as it:
        await it.bring(it.config())
        for document in it.mailbox:
            it.mailbox.set_state(document, MailboxState.PENDING)
        jump(monkeypatch, seconds)
        await it.bring(it.config())
        assert it.delivered() == it.held()
        assert all(told == ["FORWARDED"] * 2 for told in it.journal().values())


@pytest.mark.parametrize("planned", [(), (FaultSpec("ignored-acknowledgement"),)])
async def test_a_revision_that_moves_at_each_listing_brings_each_document_once(
    tmp_path: Path, planned: tuple[FaultSpec, ...]
) -> None:
    async with trial(tmp_path, *planned, documents=20) as it:
        moving(it)
        for _ in range(3):
            outcome = await it.bring(it.config())
            assert not outcome.failures
            assert it.delivered() == it.held()
        # The last poll has told them again, and brought nothing.
        assert not outcome.counters.delivered
        assert outcome.counters.duplicates == (20 if planned else 0)
        assert states(it)[State.DELIVERED] == 20


async def test_another_content_arrives_though_its_revision_moves(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=12) as it:
        moving(it)
        await it.bring(it.config())
        before = it.held()
        for document in list(it.mailbox):
            it.mailbox.revise(document.id)
        for _ in range(2):
            await it.bring(it.config())
        assert it.delivered() == before + it.held()


async def test_what_is_refused_under_a_revision_that_moves_is_refused_once_a_poll(
    tmp_path: Path,
) -> None:
    faults = (FaultSpec("ignored-acknowledgement"), FaultSpec("wrong-checksum"))
    async with trial(tmp_path, *faults, documents=6) as it:
        moving(it)
        for _ in range(2):
            outcome = await it.bring(it.config())
            assert outcome.counters.listed == outcome.counters.quarantined == 6
            assert not outcome.failures


class Restless(Farm):
    """A farm whose list says what a test wants of each of its documents, at each look."""

    def __init__(self, documents: int, entries: Callable[[str], Sequence[Entry]]) -> None:
        super().__init__(documents)
        self.entries = entries

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        for id_ in list(self.open):
            yield self.entries(id_)


def restless(documents: int, *, at_once: int = 1) -> Restless:
    numbers = count(1)

    def entries(id_: str) -> Sequence[Entry]:
        return [Entry(id_, f"r{next(numbers)}", id_, None) for _ in range(at_once)]

    return Restless(documents, entries)


class Bench:
    """One stage that notes what passes it, and fails what it is told to."""

    def __init__(self, folder: Path, error: Exception) -> None:
        self.folder = folder
        self.error = error
        self.passed: Counter[str] = Counter()
        self.flying: Counter[tuple[str, str]] = Counter()

    async def process(self, document: Document[Any]) -> Document[Any]:
        id_ = document.key.id
        one = (document.key.source, id_)
        self.flying[one] += 1
        assert self.flying[one] == 1
        self.passed[id_] += 1
        await anyio.sleep(0.001)
        self.flying[one] -= 1
        raise self.error

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[Farm], Lister]]:
        """Give what makes a lister of a farm."""
        async with open_ledger(self.folder / "ledger") as ledger:
            stage = Stage("only", one_by_one(self.process), workers=4)
            engine = Engine([stage], ledger, Quarantine(self.folder / "quarantine"))
            async with engine.running():
                yield lambda farm: Lister(farm, NOBODY, ledger, engine.dispatcher)
            self.rows = await ledger.contents("farm", [str(number) for number in range(9)])

    async def poll(self, farm: Farm, times: int) -> None:
        async with self.open() as lister:
            for _ in range(times):
                with anyio.fail_after(60):
                    await lister(farm).poll()


@pytest.mark.parametrize("error", [SourceUnavailable("no"), Rejected("no")])
async def test_of_what_an_id_stands_for_one_is_in_flight_and_each_poll_tries_once(
    tmp_path: Path, error: Exception
) -> None:
    bench = Bench(tmp_path, error)
    farm = restless(5, at_once=3)
    farm.trouble = SignInRefused("it can't be told")
    await bench.poll(farm, times=3)
    assert bench.passed == {str(number): 3 for number in range(5)}
    # What never came to an end is not kept for every revision that was seen.
    kept = {len(rows) for rows in bench.rows.values()}
    assert kept == ({3} if isinstance(error, Rejected) else {1})


async def test_what_the_ledger_can_not_record_is_tried_once_a_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise OverflowError("the ledger can't take it")

    monkeypatch.setattr(Ledger, "waiting", fail)
    bench = Bench(tmp_path, RetryableError("no"))
    await bench.poll(Farm(3), times=3)
    assert bench.passed == {"0": 3, "1": 3, "2": 3}


async def test_revisions_that_came_to_nothing_do_not_fill_the_ledger(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Rejected("no"))
    farm = restless(2)
    farm.trouble = SignInRefused("it can't be told")
    await bench.poll(farm, times=40)
    assert bench.passed == {"0": 40, "1": 40}
    assert all(len(rows) <= 18 for rows in bench.rows.values())


async def test_a_list_without_an_end_can_be_stopped_and_holds_up_no_other_source(
    tmp_path: Path,
) -> None:
    class Endless(Farm):
        async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
            for number in count():
                yield [self.entry(str(number))]
                await anyio.lowlevel.checkpoint()

    bench = Bench(tmp_path, Rejected("no"))
    other = Farm(30, name="other")
    with anyio.fail_after(60):
        async with bench.open() as lister, anyio.create_task_group() as group:
            group.start_soon(lister(Endless()).poll)
            await lister(other).poll()
            group.cancel_scope.cancel()
    assert len(other.told) == 30
