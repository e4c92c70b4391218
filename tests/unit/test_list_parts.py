"""A poll of a part of a source: its companies alone, for a bounded time, and its own memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from pipeline.document import Key
from pipeline.errors import RetryableError
from pipeline.ledger.models import State
from pipeline.ledger.selection import row_of
from pipeline.part import Begun, Part
from pipeline.source import Entry
from pipeline.traits import Traits
from stages.list import Lister
from tests.helpers.bench import Bench, bench
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio


class Halves(Farm):
    """A source whose documents are of the company that their ids begin with."""

    def __init__(self, *ids: str) -> None:
        super().__init__()
        self.open = list(ids)
        self.walks: list[Collection[str] | None] = []

    def entry(self, id_: str) -> Entry:
        return Entry(id_, "", f"document {id_}", SimpleNamespace(hints={"company": id_[0]}))

    def by_company(self, config: Any) -> bool:
        return True

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        self.walks.append(self.only)
        shown = [one for one in self.open if self.only is None or one[0] in self.only]
        for at in range(0, len(shown), 10):
            yield [self.entry(one) for one in shown[at : at + 10]]

    def shows(self, id: str, company: str) -> bool:  # noqa: A002
        return True


class Half(Part):
    """A part that remembers what it was told."""

    def __init__(self, it: Bench, companies: Collection[str] | None, **more: Any) -> None:
        self.companies = companies
        self.it = it
        self.before = 0
        self.settled = float("inf")
        self.said: list[object] = []
        for name, value in more.items():
            setattr(self, name, value)

    async def begin(self) -> Begun:
        number = await self.it.ledger.begin_poll("farm")
        before, self.before = self.before, number
        return Begun(number, before, settled=self.settled)

    async def left_out(self, items: int) -> None:
        self.said.append(items)

    async def keep_cursor(self, cursor: str) -> None:
        self.said.append(cursor)

    async def complete(self, at: float) -> None:
        self.said.append("complete")


def company(identifier: str) -> Any:
    return SimpleNamespace(
        identifier=identifier, memberships=[SimpleNamespace(source="farm", id=None)]
    )


async def poll(it: Bench, farm: Farm, part: Part, *companies: str) -> Lister:
    with anyio.fail_after(100):
        config: Any = SimpleNamespace(companies=[company(one) for one in companies])
        lister = Lister(farm, config, it.ledger, it.engine.dispatcher, part=part)
        await lister.poll()
        return lister


async def test_only_its_companies_are_listed(tmp_path: Path) -> None:
    farm = Halves("a1", "b1", "a2")
    async with bench(tmp_path) as it:
        part = Half(it, {"a"})
        await poll(it, farm, part)
        assert sorted(it.processed) == ["a1", "a2"]
        assert part.said == [0, "complete"]
        await poll(it, farm, Half(it, None))
        assert sorted(it.processed) == ["a1", "a2", "b1"]
        assert set(farm.walks[-1:]) == {None}


async def test_a_poll_stops_starting_documents_in_time_and_says_so(tmp_path: Path) -> None:
    farm = Halves(*[f"a{number}" for number in range(100)])
    async with bench(tmp_path) as it:
        part = Half(it, None, starting=-1.0)
        lister = await poll(it, farm, part)
        assert lister.more
        assert part.said == []
        assert not it.engine.dispatcher.in_flight_count("farm")
        part.starting = float("inf")
        lister = await poll(it, farm, part)
        assert not lister.more
        assert part.said == [0, "complete"]
        assert not farm.open


async def test_time_that_goes_by_before_the_first_document_does_not_count(tmp_path: Path) -> None:
    class Slow(Halves):
        async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
            await anyio.sleep(0.3)
            async for page in super().list(config):
                yield page

    farm = Slow("a1")
    async with bench(tmp_path) as it:
        assert not (await poll(it, farm, Half(it, None, starting=0.2))).more
        assert not farm.open


async def test_what_another_part_has_waiting_is_not_gone(tmp_path: Path) -> None:
    farm = Halves("a1", "b1")
    trouble = RetryableError("document", "the disk is full")
    async with bench(tmp_path, error=trouble, failing=["a1", "b1"]) as it:
        one, other = Half(it, {"a"}), Half(it, {"b"})
        for part in (one, other):
            await poll(it, farm, part)
        farm.open = []

        def state(id_: str) -> State:
            row = row_of(it.ledger.place, Key("farm", id_, ""))
            assert row is not None
            return row.state

        await poll(it, farm, one)
        assert (state("a1"), state("b1")) == (State.QUARANTINED, State.WAITING)
        await poll(it, farm, other)
        assert state("b1") is State.QUARANTINED


async def test_what_is_of_nobody_is_gone_by_a_walk_over_all_alone(tmp_path: Path) -> None:
    class Nameless(Halves):
        def entry(self, id_: str) -> Entry:
            return Entry(id_, "", f"document {id_}", SimpleNamespace(hints={}))

    farm = Nameless("a1")
    trouble = RetryableError("document", "the disk is full")
    async with bench(tmp_path, error=trouble, failing=["a1"]) as it:
        await poll(it, farm, Half(it, {"a"}))
        farm.open = []
        await poll(it, farm, Half(it, {"a"}))
        row = row_of(it.ledger.place, Key("farm", "a1", ""))
        assert row is not None
        assert row.state is State.WAITING
        await poll(it, farm, Half(it, None))
        row = row_of(it.ledger.place, Key("farm", "a1", ""))
        assert row is not None
        assert row.state is State.QUARANTINED


async def test_what_others_are_about_to_tell_is_left_to_them(tmp_path: Path) -> None:
    class Deaf(Halves):
        traits = Traits(shrinks=False)

    farm = Deaf("a1")
    async with bench(tmp_path) as it:
        farm.trouble = RetryableError("source farm", "it is down")
        await poll(it, farm, Half(it, None))
        farm.trouble = None
        number = await it.ledger.begin_poll("farm")
        await poll(it, farm, Half(it, {"b"}, settled=0))
        assert not farm.told
        await poll(it, farm, Half(it, {"b"}, settled=number + 1))
        assert [one.id for one in farm.told] == ["a1"]


async def test_what_is_of_the_companies_of_another_part_is_told_there(tmp_path: Path) -> None:
    class Deaf(Halves):
        traits = Traits(shrinks=False)

    farm = Deaf("a1", "c1")
    async with bench(tmp_path) as it:
        farm.trouble = RetryableError("source farm", "it is down")
        await poll(it, farm, Half(it, None), "a", "b")
        farm.trouble = None
        await it.ledger.change(
            lambda connection: connection.execute(
                "UPDATE documents SET company = substr(id, 1, 1)"
            ).close()
        )
        # The company c is of no part any more: whoever comes first tells of it.
        await poll(it, farm, Half(it, {"b"}), "a", "b")
        assert [one.id for one in farm.told] == ["c1"]
        await poll(it, farm, Half(it, {"a"}), "a", "b")
        assert [one.id for one in farm.told] == ["c1", "a1"]
