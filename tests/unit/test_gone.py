"""A document that waits and is not listed any more is gone: told once, alive if it comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from pipeline.document import Key
from pipeline.errors import PartFailed, RetryableError, SourceError
from pipeline.ledger.counts import read_counts
from pipeline.ledger.models import State
from pipeline.ledger.selection import row_of
from pipeline.ledger.summary import summarise
from pipeline.source import Entry, UnreadableItems
from pipeline.traits import Acknowledging, Traits
from stages.list import Lister
from tests.helpers.bench import Bench, bench
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio

TROUBLE = RetryableError("document 1", "the disk is full", "Make room")


class Tract(Farm):
    """A list that is complete, may fail in a part, and may hide documents in one walk."""

    traits = Traits()
    failure: Exception | None = None
    walks = 0

    def __init__(self, documents: int = 0) -> None:
        super().__init__(documents)
        self.hidden: list[set[str]] = []
        self.whose: dict[str, str] = {}
        self.knows = True

    def entry(self, id_: str) -> Entry:
        revision = "2" if id_ in self.revised else ""
        hints = {"company": self.whose.get(id_, "")}
        return Entry(id_, revision, f"document {id_}", SimpleNamespace(hints=hints, company=None))

    revised: frozenset[str] = frozenset()

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        self.walks += 1
        hidden = self.hidden.pop(0) if self.hidden else set()
        yield [self.entry(id_) for id_ in self.open if id_ not in hidden]
        if self.failure is not None:
            raise self.failure

    def shows(self, id: str, company: str) -> bool:  # noqa: A002
        return self.knows


class Dated(Tract):
    """It never shrinks, and walks begin at a cursor."""

    traits = Traits(shrinks=False, acknowledges=Acknowledging.NONE)

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        async for page in super().list(config):
            yield page
        self.cursor = str(len(self.open))


class Slow(Tract):
    traits = Traits(pause=1.0)


def config_of(*numbers: str) -> Any:
    member = [SimpleNamespace(source="farm", id=None)]
    return SimpleNamespace(
        companies=[SimpleNamespace(identifier=one, memberships=member) for one in numbers]
    )


async def poll(one: Bench, farm: Farm, *companies: str) -> None:
    with anyio.fail_after(100):
        config = config_of(*companies)
        await Lister(farm, config, one.ledger, one.engine.dispatcher).poll()


def reasons(folder: Path) -> list[str]:
    return [one.reason for one in summarise(folder / "ledger").quarantine]


def waiting(folder: Path) -> int:
    return read_counts(folder / "ledger").waiting


@pytest.mark.parametrize("kind", [Tract, Dated, Slow])
async def test_it_is_told_once_with_what_happened_and_what_to_do(
    tmp_path: Path, kind: type[Tract]
) -> None:
    farm = kind(3)
    async with bench(tmp_path, TROUBLE, ["1"]) as one:
        await poll(one, farm)
        assert waiting(tmp_path) == 1
        await poll(one, farm)
        assert waiting(tmp_path) == 1
        farm.open = [id_ for id_ in farm.open if id_ != "1"]
        for _ in range(3):
            await poll(one, farm)
        assert waiting(tmp_path) == 0
        (reason,) = reasons(tmp_path)
        assert reason.startswith(
            "document 1: it is no longer listed by source farm, and was not delivered before that:"
            " the disk is full. See at the platform"
        )
        counters = one.engine.observer.snapshot().sources["farm"].counters
        assert counters.ends[State.QUARANTINED] == 1
        assert read_counts(tmp_path / "ledger").unacknowledged == 0
        # Whoever has it tried again waits for it to be listed again.
        row = row_of(tmp_path / "ledger", Key("farm", "1", ""))
        assert row is not None
        assert not row.is_told
    assert not [outcome for outcome in farm.told if outcome.id == "1"]


@pytest.mark.parametrize("kind", [Tract, Dated, Slow])
@pytest.mark.parametrize("revised", [False, True])
async def test_it_comes_alive_if_it_is_listed_again(
    tmp_path: Path, kind: type[Tract], revised: bool
) -> None:
    farm = kind(3)
    async with bench(tmp_path, TROUBLE, ["1"]) as one:
        await poll(one, farm)
        farm.open.remove("1")
        await poll(one, farm)
        assert len(reasons(tmp_path)) == 1
        farm.open.append("1")
        farm.revised = frozenset({"1"} if revised else ())
        await poll(one, farm)
        assert (waiting(tmp_path), reasons(tmp_path)) == (1, [])
        one.failing = ()
        await poll(one, farm)
        assert (waiting(tmp_path), reasons(tmp_path)) == (0, [])
        await poll(one, farm)
    assert one.processed["1"] == 3
    assert _states(tmp_path) == {"delivered": 3}


def _states(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "ledger")) as ledger:
        return dict(ledger.execute("SELECT state, count(*) FROM documents GROUP BY 1").fetchall())


@pytest.mark.parametrize(
    "failure", [SourceError("farm"), PartFailed("farm, One"), RetryableError("farm")]
)
async def test_a_walk_that_fails_in_part_proves_nothing(tmp_path: Path, failure: Exception) -> None:
    farm = Tract(3)
    async with bench(tmp_path, TROUBLE, ["1"]) as one:
        await poll(one, farm)
        farm.open.remove("1")
        farm.failure = failure
        with pytest.raises(type(failure)):
            await poll(one, farm)
        assert waiting(tmp_path) == 1
        farm.failure = None
        await poll(one, farm)
        assert waiting(tmp_path) == 0


async def test_a_walk_that_leaves_something_out_proves_nothing(tmp_path: Path) -> None:
    farm = Tract(3)
    async with bench(tmp_path, TROUBLE, ["1"]) as one:
        await poll(one, farm)
        farm.open.remove("1")
        farm.unreadable = [UnreadableItems("list", 1, ["it has no id"])]
        await poll(one, farm)
        assert waiting(tmp_path) == 1


async def test_a_list_that_hides_it_once_is_looked_at_again(tmp_path: Path) -> None:
    farm = Tract(3)
    async with bench(tmp_path, TROUBLE, ["1"]) as one:
        await poll(one, farm)
        farm.hidden = [{"1"}]
        await poll(one, farm)
        assert (waiting(tmp_path), farm.hidden) == (1, [])


async def test_a_source_that_can_t_tell_leaves_it(tmp_path: Path) -> None:
    farm = Tract(3)
    farm.knows = False
    async with bench(tmp_path, TROUBLE, ["1"]) as one:
        await poll(one, farm)
        farm.open.remove("1")
        await poll(one, farm)
        assert waiting(tmp_path) == 1


async def test_those_of_a_company_that_was_removed_are_left(tmp_path: Path) -> None:
    farm = Tract(3)
    farm.whose = {"1": "BE1", "2": "BE2"}
    async with bench(tmp_path, TROUBLE, ["1", "2"]) as one:
        await poll(one, farm, "BE1", "BE2")
        assert waiting(tmp_path) == 2
        farm.open = ["0"]
        await poll(one, farm, "BE2")
        (reason,) = reasons(tmp_path)
        assert reason.startswith("document 2:")
        await poll(one, farm, "BE1", "BE2")
        assert waiting(tmp_path) == 0


async def test_a_walk_from_a_cursor_tells_of_what_the_poll_before_listed_alone(
    tmp_path: Path,
) -> None:
    farm = Dated(3)
    async with bench(tmp_path, TROUBLE, ["1"]) as one:
        await poll(one, farm)
        await one.ledger.set_cursor("farm", "2")
        farm.open.remove("1")
        farm.failure = SourceError("farm")
        with pytest.raises(SourceError):
            await poll(one, farm)
        farm.failure = None
        # Meanwhile the cursor may have passed it.
        await poll(one, farm)
        assert waiting(tmp_path) == 1
        await one.ledger.set_cursor("farm", "")
        await poll(one, farm)
        assert waiting(tmp_path) == 0
