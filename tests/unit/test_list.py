"""A poll starts every document that waits, each one once, whatever the list does meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pipeline.engine.breaker import SUSPECT_AFTER
from pipeline.errors import (
    Rejected,
    SignInRefused,
    SourceError,
    SourceUnavailable,
    SourceUnreachable,
    SynqupError,
)
from pipeline.source import Entry
from stages.list import Lister
from tests.helpers.bench import bench
from tests.helpers.farm import NOBODY, Farm

pytestmark = pytest.mark.anyio


class Platform(Farm):
    """A farm that knows how much it holds, and where documents arrive and fail."""

    def __init__(self, documents: int, arrivals: int = 0, seed: int = 0, **more: Any) -> None:
        super().__init__(documents, **more)
        self.random = Random(seed)
        self.arrivals = [f"new-{number}" for number in range(arrivals)]
        self.pages = 0
        self.says = True
        self.failure: Exception | None = None

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        page = 0
        while ids := self.open[page * 10 : page * 10 + 10]:
            self.pages += 1
            yield [self.entry(id_) for id_ in ids]
            if self.arrivals and self.random.random() < 0.5:
                self.open.insert(self.random.randrange(len(self.open) + 1), self.arrivals.pop())
            await anyio.sleep(0.001)
            page += 1
        if self.failure is not None:
            raise self.failure

    def backlog(self) -> int | None:
        return len(self.open) if self.says else None


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("seed", range(6))
async def test_none_is_missed_whatever_arrives_meanwhile(
    tmp_path: Path, seed: int, says: bool
) -> None:
    farm = Platform(67, arrivals=20, seed=seed)
    farm.says = says
    async with bench(tmp_path) as it:
        await it.poll(farm)
        assert not farm.open
        assert len(it.processed) == 87 - len(farm.arrivals)


async def test_a_poll_of_an_empty_list_walks_once(tmp_path: Path) -> None:
    farm = Platform(0)
    walks = 0
    list_ = farm.list

    def counted(config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        nonlocal walks
        walks += 1
        return list_(config)

    farm.list = counted  # type: ignore[method-assign]
    async with bench(tmp_path) as it:
        await it.poll(farm)
        assert walks == 1
        farm.open = ["a", "b"]
        await it.poll(farm)
        # One that finds them, and one that sees that there are no others.
        assert walks == 3


async def test_what_is_put_back_gets_revisions_of_our_own(tmp_path: Path) -> None:
    """Whatever happens between: it is one more document each time, and each only once."""
    farm = Platform(1)
    async with bench(tmp_path, SourceUnavailable("0"), ["0"]) as it:
        it.failing = []
        for times in range(1, 4):
            farm.open = ["0"]
            await anyio.sleep(0.01)
            it.failing = ["0"]
            await it.poll(farm)
            assert farm.open == ["0"]
            it.failing = []
            await it.poll(farm)
            assert not farm.open
            assert it.processed["0"] == 2 * times
        contents = await it.ledger.contents("farm", ["0"])
        assert {r: row.state for r, row in contents["0"].items()} == {
            "": "delivered",
            "~1": "delivered",
            "~2": "delivered",
        }


async def test_what_waits_is_tried_again_by_the_next_poll_and_not_before(tmp_path: Path) -> None:
    farm = Platform(20)
    async with bench(tmp_path, SourceUnavailable("3"), ["3"]) as it:
        await it.poll(farm)
        assert it.processed["3"] == 1
        assert farm.open == ["3"]
        await it.poll(farm)
        assert it.processed["3"] == 2
        assert it.processed.total() == 21


async def test_what_is_quarantined_is_tried_again_when_it_is_put_back(tmp_path: Path) -> None:
    farm = Platform(5)
    async with bench(tmp_path, Rejected("3"), ["3"]) as it:
        await it.poll(farm)
        await it.poll(farm)
        assert it.processed["3"] == 1
        assert [o.accepted for o in farm.told if o.id == "3"] == [False]
        farm.open = ["3"]
        await anyio.sleep(0.01)
        await it.poll(farm)
        assert it.processed["3"] == 2


async def test_a_source_that_fails_several_in_a_row_is_given_up_for_this_poll(
    tmp_path: Path,
) -> None:
    farm = Platform(500)
    every = [str(number) for number in range(500)]
    async with bench(tmp_path, SourceUnavailable("box", "no"), every) as it:
        with pytest.raises(SourceUnavailable, match="no"):
            await it.poll(farm)
        assert SUSPECT_AFTER <= it.processed.total() < 250


async def test_a_part_that_can_not_be_read_is_told_when_the_rest_has_been(tmp_path: Path) -> None:
    farm = Platform(137)
    farm.failure = SourceError("list of sales", "it is none")
    async with bench(tmp_path) as it:
        with pytest.raises(SourceError, match="it is none"):
            await it.poll(farm)
        assert it.processed.total() == 137
        assert not farm.open


@pytest.mark.parametrize("error", [SignInRefused, SourceUnreachable])
async def test_a_sign_in_that_is_refused_ends_the_poll_at_once(
    tmp_path: Path, error: type[SynqupError]
) -> None:
    farm = Platform(15)
    farm.failure = error("source")
    async with bench(tmp_path) as it:
        with pytest.raises(error):
            await it.poll(farm)
        await it.engine.dispatcher.drained("farm")
        assert farm.pages == 2


async def test_a_walk_that_is_cancelled_closes_the_list(tmp_path: Path) -> None:
    closed = False
    pages = anyio.Semaphore(0)

    class Endless(Platform):
        async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
            nonlocal closed
            try:
                number = 0
                while True:
                    yield [self.entry(str(number))]
                    number += 1
                    pages.release()
                    await anyio.lowlevel.checkpoint()
            finally:
                closed = True

    async with bench(tmp_path) as it:
        async with anyio.create_task_group() as group:
            group.start_soon(Lister(Endless(0), NOBODY, it.ledger, it.engine.dispatcher).poll)
            for _ in range(50):
                await pages.acquire()
            assert not closed
            group.cancel_scope.cancel()
        assert closed


async def test_waiting_is_looked_up_and_left_alone(tmp_path: Path) -> None:
    farm = Platform(25)
    async with bench(tmp_path) as it:
        lister = Lister(farm, NOBODY, it.ledger, it.engine.dispatcher)
        assert len(await lister.waiting()) == 25
        await it.poll(farm)
        assert await lister.waiting() == []
        assert it.processed.total() == 25
