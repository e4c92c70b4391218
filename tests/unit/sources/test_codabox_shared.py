"""Nodes share what CodaBox's feeds have listed, and none undoes what another one has kept."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from msgspec import structs

from pipeline.errors import SourceError
from pipeline.shared_mount import MARKER
from pipeline.source import Entry, Outcome
from pipeline.turns import Turn, Turns, taken
from stages.sources.codabox.api import Feed, FeedEntry
from stages.sources.codabox.entries import split_id
from stages.sources.codabox.memory import ASKING, FeedMemory, FeedState
from stages.sources.codabox.source import CodaBoxSource
from stages.sources.registry import open_source
from tests.helpers.codabox import CodaBoxWorld, codabox, feed_of

pytestmark = pytest.mark.anyio


class Free(Turns):
    """Turns that anybody may have: no feed is asked for by turns."""

    def turn(self, source: str) -> AbstractAsyncContextManager[Turn]:
        return taken(None, source)


@asynccontextmanager
async def node(it: CodaBoxWorld) -> AsyncIterator[CodaBoxSource]:
    config = it.config()
    config.shared_dir.mkdir(exist_ok=True)
    (config.shared_dir / MARKER).touch()
    source = open_source(config.sources[0], config.shared_dir, Free())
    assert isinstance(source, CodaBoxSource)
    try:
        yield source
    finally:
        await source.close()


async def walked(source: CodaBoxSource, it: CodaBoxWorld) -> list[Entry]:
    return [entry async for page in source.list(it.config()) for entry in page]


def kept(it: CodaBoxWorld, feed: str) -> FeedState:
    (file,) = (it.folder / "state" / "feeds").rglob(f"feed-{feed}.json")
    return FeedMemory(file.parent).feed(feed)


def test_changes_by_two_at_once_are_all_kept(tmp_path: Path) -> None:
    indexes = [f"{number:03}" for number in range(80)]
    start = FeedState(gone=tuple(FeedEntry(one) for one in indexes))
    (tmp_path / MARKER).touch()
    folder = tmp_path / "feeds" / "codabox" / "download"
    FeedMemory(folder).keep_feed("1", start)

    def change(mine: list[str]) -> None:
        memory = FeedMemory(folder, shared=True)
        for index in mine:
            memory.change_feed(
                "1", start.without(index), lambda known, one=index: known.without(one)
            )

    threads = [threading.Thread(target=change, args=(indexes[number::4],)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert FeedMemory(folder).feed("1") == FeedState()
    # Where the folder is not mounted, nobody takes it for an empty one.
    (tmp_path / MARKER).unlink()
    with pytest.raises(OSError, match="is not mounted there"):
        FeedMemory(folder, shared=True).feed("1")


async def test_nodes_that_walk_at_once_ask_for_each_feed_once(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it, node(it) as one, node(it) as other:
        found: set[str] = set()

        async def walk(source: CodaBoxSource) -> None:
            found.update(entry.id for entry in await walked(source, it))

        async with anyio.create_task_group() as group:
            group.start_soon(walk, one)
            group.start_soon(walk, other)
        assert len(found) == 30
        assert it.wire.lists == 3
        assert it.wire.early == 0
        # What one has heard, both bring.
        assert {entry.id for entry in await walked(one, it)} == found
        assert {entry.id for entry in await walked(other, it)} == found
        assert it.wire.lists == 3


async def test_what_another_node_is_asking_for_has_not_failed(tmp_path: Path) -> None:
    async with codabox(tmp_path, companies=1) as it, node(it) as one:
        assert await walked(one, it)
        feed = feed_of(0)
        (file,) = (it.folder / "state" / "feeds").rglob(f"feed-{feed}.json")
        asking = kept(it, feed).asked(3600.0)
        FeedMemory(file.parent).keep_feed(feed, asking)
        assert len(await walked(one, it)) == 30
        long_ago = structs.replace(asking, asked_at=asking.asked_at - ASKING)
        FeedMemory(file.parent).keep_feed(feed, long_ago)
        with pytest.raises(SourceError, match="the answer was lost"):
            await walked(one, it)


async def test_a_late_acknowledgement_moves_no_offset_back(tmp_path: Path) -> None:
    async with codabox(tmp_path, companies=1) as it, node(it) as late, node(it) as other:
        entries = await walked(late, it)
        await walked(other, it)
        last, first = Outcome(entries[-1].id, True), Outcome(entries[0].id, True)
        assert await other.acknowledge([last]) == [last.id]
        assert await late.acknowledge([first]) == [first.id]
        feed, index = split_id(last.id)
        assert it.wire.offsets[feed] == [index]
        assert not kept(it, feed).all
        assert await walked(late, it) == []


async def test_what_another_node_acknowledged_is_not_forgotten_by_ones_own(tmp_path: Path) -> None:
    async with codabox(tmp_path, companies=1) as it, node(it) as one, node(it) as other:
        entries = await walked(one, it)
        await walked(other, it)
        for source, number in ((one, 4), (other, 9), (one, 14)):
            await source.acknowledge([Outcome(entries[number].id, True)])
        assert [entry.id for entry in await walked(other, it)] == [one.id for one in entries[15:]]


async def test_a_list_that_comes_late_does_not_replace_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with codabox(tmp_path, companies=1) as it, node(it) as late:
        feed = feed_of(0)
        ask = late.api.feed

        async def held_up(id_: str, label: str) -> Feed:
            found = await ask(id_, label)
            # Meanwhile another node has asked again, and heard of one entry only.
            now = kept(it, feed)
            assert now.problem
            later = structs.replace(now, asked_at=now.asked_at + 1)
            (file,) = (it.folder / "state" / "feeds").rglob(f"feed-{feed}.json")
            FeedMemory(file.parent).keep_feed(feed, later.listing((FeedEntry("999"),)))
            return found

        monkeypatch.setattr(late.api, "feed", held_up)
        await walked(late, it)
        assert [entry.index for entry in kept(it, feed).all] == ["999"]
