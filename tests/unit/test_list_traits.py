"""A poll treats what is listed as the traits of its source say: offsets, groups, or no answer."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipeline.errors import PartFailed, Rejected, RetryableError, SourceError
from pipeline.payload import Payload
from pipeline.source import Entry, Outcome
from pipeline.traits import Acknowledging, Traits
from tests.helpers.bench import bench
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio


class Shelf(Farm):
    """Its list never shrinks, and it takes no acknowledgement."""

    traits = Traits(shrinks=False, acknowledges=Acknowledging.NONE)

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        raise AssertionError("it was acknowledged to")


class Drawer(Farm):
    """A folder: a name may be used again, and neither size nor time tell for sure."""

    traits = Traits(exact_revisions=False)

    def entry(self, id_: str) -> Entry:
        return Entry(id_, "10:99", f"document {id_}", None)


class Feed(Farm):
    """Lanes that are acknowledged by an offset: `lane/number`, in order."""

    traits = Traits(acknowledges=Acknowledging.OFFSET)

    def __init__(self, **lanes: int) -> None:
        super().__init__()
        self.lanes = {lane: [f"{lane}/{n}" for n in range(count)] for lane, count in lanes.items()}

    def entry(self, id_: str) -> Entry:
        return Entry(id_, "", f"document {id_}", None, lane=id_.partition("/")[0])

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        for ids in self.lanes.values():
            yield [self.entry(id_) for id_ in ids]

    def backlog(self) -> int | None:
        return sum(map(len, self.lanes.values()))

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        (outcome,) = outcomes
        self.told.append(outcome)
        lane = self.lanes[outcome.id.partition("/")[0]]
        del lane[: lane.index(outcome.id) + 1]
        return [outcome.id]


class Mails(Feed):
    """Documents that are acknowledged together: the lane is the mail."""

    traits = Traits(acknowledges=Acknowledging.GROUP)


def rows(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "ledger")) as ledger:
        return ledger.execute("SELECT * FROM documents ORDER BY id").fetchall()


async def test_a_list_that_never_shrinks_costs_nothing(tmp_path: Path) -> None:
    shelf = Shelf(1000)
    async with bench(tmp_path) as it:
        await it.poll(shelf)
        assert it.processed.total() == 1000
        before = rows(tmp_path)
        assert all(row is not None for row in before)
        await it.poll(shelf)
        assert it.processed.total() == 1000
        assert rows(tmp_path) == before
        shelf.open.insert(0, "new")
        await it.poll(shelf)
        assert it.processed.total() == 1001
        assert not await it.ledger.unacknowledged("farm")


async def test_the_same_revision_is_fetched_again_where_it_proves_nothing(tmp_path: Path) -> None:
    """It is told which revision is meant, each time another one."""
    drawer = Drawer(1)
    (id_,) = drawer.open
    async with bench(tmp_path) as it:
        for times in range(1, 4):
            await it.poll(drawer)
            assert it.processed[id_] == times
            assert drawer.open == []
            drawer.open.append(id_)
    revisions = [outcome.revision for outcome in drawer.told]
    assert revisions == ["10:99", "10:99~1", "10:99~2"]


async def test_what_is_quarantined_is_not_started_by_being_listed(tmp_path: Path) -> None:
    """Neither where the list never shrinks nor where nobody there can be told of an error."""
    for farm in (Shelf(3), Feed(a=3)):
        folder = tmp_path / type(farm).__name__
        folder.mkdir()
        id_ = "1" if isinstance(farm, Shelf) else "a/1"
        async with bench(folder, Rejected("it", "it is damaged"), [id_]) as it:
            for _ in range(3):
                try:
                    await it.poll(farm)
                except SourceError:
                    assert isinstance(farm, Feed)
            assert it.processed[id_] == 1


async def test_an_offset_passes_no_document_that_waits(tmp_path: Path) -> None:
    """The other lanes go on; the lane goes on when its document does."""
    feed = Feed(a=10, b=10)
    async with bench(tmp_path, RetryableError("it", "the disk is full"), ["a/4"]) as it:
        with pytest.raises(SourceError, match=r"a/4 keeps all after it in a .*the disk is full"):
            await it.poll(feed)
        assert [outcome.id for outcome in feed.told] == ["a/3", "b/9"]
        assert feed.lanes["a"] == ["a/4", "a/5", "a/6", "a/7", "a/8", "a/9"]
        assert it.processed.total() == 20
        it.failing = ()
        await it.poll(feed)
        assert feed.told[-1].id == "a/9"
        assert it.processed["a/9"] == 1
        assert not await it.ledger.unacknowledged("farm")


@pytest.mark.parametrize("kept", [True, False])
async def test_an_offset_passes_what_is_quarantined_if_its_bytes_are_safe(
    tmp_path: Path, kept: bool
) -> None:
    feed = Feed(a=5)
    payload = Payload(1, "", b"x") if kept else None
    async with bench(tmp_path, Rejected("it", "it is damaged"), ["a/2"], payload) as it:
        if kept:
            await it.poll(feed)
            assert not feed.lanes["a"]
            assert [(one.id, one.accepted) for one in feed.told] == [("a/4", True)]
        else:
            with pytest.raises(SourceError, match="quarantine has no copy of it"):
                await it.poll(feed)
            assert feed.lanes["a"] == ["a/2", "a/3", "a/4"]


async def test_an_offset_that_was_not_taken_is_sent_again(tmp_path: Path) -> None:
    feed = Feed(a=5)
    async with bench(tmp_path) as it:
        feed_lanes = list(feed.lanes["a"])
        await it.poll(feed)
        feed.lanes["a"] = feed_lanes
        await it.poll(feed)
        assert [outcome.id for outcome in feed.told] == ["a/4", "a/4"]
        assert not feed.lanes["a"]
        assert it.processed.total() == 5


async def test_a_group_is_acknowledged_when_the_last_of_it_has_ended(tmp_path: Path) -> None:
    mails = Mails(a=3, b=3)
    async with bench(tmp_path, RetryableError("it", "the disk is full"), ["a/1"]) as it:
        with pytest.raises(SourceError, match="document a/1"):
            await it.poll(mails)
        assert [outcome.id for outcome in mails.told] == ["b/2"]
        it.failing = ()
        await it.poll(mails)
        assert [outcome.id for outcome in mails.told] == ["b/2", "a/2"]


async def test_a_walk_begins_where_all_before_has_ended(tmp_path: Path) -> None:
    """The cursor is kept by the ledger, and moves only when nothing is open."""

    class Long(Shelf):
        began: ClassVar[list[str]] = []

        async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
            self.began.append(self.cursor)
            yield [self.entry(id_) for id_ in self.open[int(self.cursor or 0) :]]
            self.cursor = str(len(self.open))

    shelf = Long(10)
    async with bench(tmp_path, RetryableError("it", "the disk is full"), ["4"]) as it:
        await it.poll(shelf)
        assert set(shelf.began) == {""}
        it.failing = ()
        await it.poll(shelf)
        shelf.open.append("new")
        shelf.began.clear()
        await it.poll(shelf)
        assert set(shelf.began) == {"10"}
    async with bench(tmp_path) as it:
        shelf.began.clear()
        await it.poll(shelf)
        assert set(shelf.began) == {"11"}
        assert not it.processed


async def test_a_window_full_of_documents_that_wait_is_told(tmp_path: Path) -> None:
    class Window(Farm):
        traits = Traits(window=3)

        async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
            yield [self.entry(id_) for id_ in self.open[:3]]

    farm = Window(10)
    async with bench(tmp_path, RetryableError("it", "the disk is full"), ["0", "1"]) as it:
        await it.poll(farm)
        assert farm.open == ["0", "1"]
        farm.open += ["10", "11", "12"]
        it.failing = ["0", "1", "10"]
        with pytest.raises(SourceError, match="shows 3 documents at once, and 3 of them wait"):
            await it.poll(farm)
        assert farm.open == ["0", "1", "10", "11", "12"]
        it.failing = ()
        await it.poll(farm)
        assert not farm.open


async def test_each_list_has_its_own_window_and_what_is_not_taken_keeps_its_place(
    tmp_path: Path,
) -> None:
    class Windows(Farm):
        """Its ids begin with the name of their list; what can't be fetched it does not take."""

        traits = Traits(window=3)

        def entry(self, id_: str) -> Entry:
            return Entry(id_, "", f"document {id_}", None, lane=id_[0])

        async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
            for name in "ab":
                yield [self.entry(id_) for id_ in [one for one in self.open if one[0] == name][:3]]

        async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
            return await super().acknowledge([one for one in outcomes if one.accepted or one.kept])

    farm = Windows()
    farm.open = ["a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4"]
    async with bench(tmp_path, Rejected("it", "it is gone"), ["a1", "a2", "b1"]) as it:
        await it.poll(farm)
        assert farm.open == ["a1", "a2", "b1"]
        await it.poll(farm)  # three places in all, but in no list
        farm.open += ["a5", "a6"]
        it.failing = ["a5"]
        with pytest.raises(SourceError, match="its list of a shows 3 documents at once, and 3"):
            await it.poll(farm)


async def test_a_source_with_a_pause_is_walked_once_in_a_poll(tmp_path: Path) -> None:
    class Slow(Farm):
        traits = Traits(pause=60)
        walks = 0

        async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
            self.walks += 1
            yield [self.entry(id_) for id_ in self.open]

    farm = Slow(10)
    async with bench(tmp_path) as it:
        await it.poll(farm)
        assert farm.walks == 1
        assert not farm.open


class Marked(Shelf):
    """Its cursor says what it has listed; a part of its list may fail."""

    failure: SourceError | None = None

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        async for page in super().list(config):
            yield page
        self.cursor = f"{len(self.open)} listed"
        if self.failure is not None:
            raise self.failure


async def test_the_cursor_moves_although_a_part_of_the_list_can_not_be_read(
    tmp_path: Path,
) -> None:
    shelf = Marked(3)
    shelf.failure = PartFailed("company two", "its key is refused")
    async with bench(tmp_path) as it:
        with pytest.raises(PartFailed):
            await it.poll(shelf)
        assert await it.ledger.cursor("farm") == "3 listed"


async def test_a_document_that_waits_is_told_since_when_it_is_known(tmp_path: Path) -> None:
    shelf = Marked(2)
    async with bench(tmp_path, RetryableError("it", "it is not there yet"), ["1"]) as it:
        await it.poll(shelf)
        assert await it.ledger.cursor("farm") == ""
        rows_ = await it.ledger.contents("farm", ["1"])
        seen = rows_["1"][""].seen_at
        assert seen is not None
        await it.poll(shelf)
        again = (await it.ledger.contents("farm", ["1"]))["1"][""]
        assert again.seen_at == seen
        it.failing = ()
        await it.poll(shelf)
        assert await it.ledger.cursor("farm") == "2 listed"
