"""A walk over a list reads all of it once, and after that what is new and a little before."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from msgspec import Raw, json

from pipeline.errors import SourceError
from stages.sources.einvoice_be.api import Item, Page
from stages.sources.einvoice_be.listing import read_items
from stages.sources.einvoice_be.marks import Mark, read_marks, write_marks
from stages.sources.einvoice_be.walk import NoSuchPage, Rules, TooLarge, Walk, WrongPage

pytestmark = pytest.mark.anyio

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NEW = Mark()


class Shelf:
    """A list on a platform. times: minutes from the start. largest: items of a page, at most."""

    def __init__(self, times: Sequence[float]) -> None:
        self.items: list[dict[str, Any]] = []
        self.largest = 100
        self.pages = 0
        self.asked: list[tuple[int, int]] = []
        self.says: dict[str, Any] = {}
        self.poison: set[str] = set()
        for time in times:
            self.add(time)

    def add(self, minutes: float, **more: Any) -> None:
        at = (START + timedelta(minutes=minutes)).isoformat()
        one = {"id": str(len(self.items)), "created_at": at, **more}
        insort(self.items, one, key=lambda item: str(item["created_at"]))

    async def fetch(self, number: int, size: int) -> Page:
        self.asked.append((number, size))
        some = self.items[(number - 1) * size : number * size]
        if len(some) > self.largest or (self.poison and {one["id"] for one in some} & self.poison):
            raise TooLarge("list")
        pages = -(-len(self.items) // size)
        said = {"page": number, "page_size": size, "pages": pages, "has_next_page": number < pages}
        said |= self.says
        return Page([Raw(json.encode(one)) for one in some], **said)


def rules(now: datetime, size: int = 100) -> Rules:
    return Rules(size, 2 * DAY, 7 * DAY, 30 * DAY, now)


async def walked(
    shelf: Shelf, mark: Mark = NEW, now: datetime = START + 30 * DAY, size: int = 100
) -> tuple[list[str], Mark]:
    shelf.asked.clear()
    walk = Walk("list", mark, rules(now, size), shelf.fetch, read_items)
    found: list[str] = []
    while not walk.done:
        for item in await walk.next():
            if isinstance(item, Item) and item.state == "DRAFT":
                walk.hold(item)
            else:
                found.append(item if isinstance(item, str) else item.id)
    return found, walk.mark()


@given(
    first=st.lists(st.integers(0, 20_000), max_size=60),
    later=st.lists(st.lists(st.integers(0, 3_000), max_size=12), max_size=5),
    size=st.integers(1, 20),
    largest=st.integers(1, 20),
)
@settings(max_examples=150, deadline=None)
async def test_everything_is_seen_whatever_arrives_when(
    first: list[int], later: list[list[int]], size: int, largest: int
) -> None:
    shelf = Shelf(first)
    shelf.largest = largest
    now = START + timedelta(minutes=20_000)
    seen, mark = await walked(shelf, now=now, size=size)
    assert sorted(set(seen), key=int) == [str(n) for n in range(len(first))]
    for arrivals in later:
        newest = (now - START) / timedelta(minutes=1)
        for minutes in arrivals:
            # Not later than the overlap allows: two days have 2880 minutes.
            shelf.add(newest + minutes - 2_500 if minutes < 2_500 else newest)
        now += timedelta(minutes=500)
        found, mark = await walked(shelf, mark, now, size)
        seen += found
    assert set(seen) == {one["id"] for one in shelf.items}


async def test_of_ten_thousand_old_and_one_new_only_the_last_pages_are_read() -> None:
    shelf = Shelf([10 * n for n in range(10_000)])
    now = START + timedelta(minutes=100_020)
    seen, mark = await walked(shelf, now=now)
    assert len(seen) == 10_000
    assert len(shelf.asked) == 100
    assert shelf.asked[0] == (1, 100)
    shelf.add(100_010)
    found, again = await walked(shelf, mark, now)
    assert found[-1] == "10000"
    assert len(shelf.asked) <= 5
    _, same = await walked(shelf, again, now + DAY)
    assert same == again
    # Once a week all of it is read.
    await walked(shelf, again, now + 8 * DAY)
    assert len(shelf.asked) == 101
    # Nor does a clock that goes back keep it from that.
    await walked(shelf, again, now - DAY)
    assert len(shelf.asked) == 101


async def test_a_list_from_which_drafts_were_removed_is_read_from_an_earlier_page() -> None:
    shelf = Shelf([60 * n for n in range(1000)])
    now = START + timedelta(minutes=60_000)
    _, mark = await walked(shelf, now=now)
    del shelf.items[:400]
    shelf.add(60_060)
    found, _ = await walked(shelf, mark, now)
    assert "600" in found
    assert "999" in found
    del shelf.items[5:]
    found, _ = await walked(shelf, mark, now)
    assert len(found) == 5


@pytest.mark.parametrize("error", [NoSuchPage, WrongPage])
async def test_a_page_beyond_the_end_is_no_failure_whatever_the_platform_says(
    error: type[SourceError],
) -> None:
    shelf = Shelf([60 * n for n in range(1000)])
    now = START + timedelta(minutes=60_000)
    _, mark = await walked(shelf, now=now)
    del shelf.items[100:]
    usual = shelf.fetch

    async def fetch(number: int, size: int) -> Page:
        if number > 1:
            raise error("list")
        return await usual(number, size)

    shelf.fetch = fetch  # type: ignore[method-assign]
    found, _ = await walked(shelf, mark, now)
    assert len(found) == 100


async def test_a_page_that_is_too_large_is_read_in_halves_and_one_document_left_out() -> None:
    shelf = Shelf(range(300))
    shelf.largest = 30
    shelf.poison = {"140"}
    found, mark = await walked(shelf)
    assert "what its list says of it is too large" in found
    assert {*map(str, range(300))} - set(found) == {"140"}
    sizes = [size for _, size in shelf.asked]
    assert sizes[:3] == [100, 50, 25]
    assert 1 in sizes
    # It is told again by the next walk, and not forgotten.
    found, _ = await walked(shelf, mark)
    assert "what its list says of it is too large" in found


async def test_what_is_not_sent_yet_is_waited_for_and_no_longer_than_is_said() -> None:
    shelf = Shelf([])
    shelf.add(0, state="DRAFT")
    for n in range(1, 500):
        shelf.add(60 * n)
    now = START + timedelta(minutes=30_000)
    _, mark = await walked(shelf, now=now)
    assert mark.moment == START
    shelf.items[0]["state"] = "SENT"
    found, mark = await walked(shelf, mark, now)
    assert found[0] == "0"
    shelf.items[0]["state"] = "DRAFT"
    _, mark = await walked(shelf, now=START + 31 * DAY)
    assert mark.moment == START + timedelta(minutes=60 * 499)


async def test_a_list_that_is_not_in_order_is_read_whole_each_time() -> None:
    shelf = Shelf([])
    shelf.items = [
        {"id": str(n), "created_at": (START + n * DAY).isoformat()} for n in reversed(range(20))
    ]
    found, mark = await walked(shelf, size=5)
    assert len(found) == 20
    found, _ = await walked(shelf, mark, size=5)
    assert len(found) == 20


async def test_documents_of_the_future_do_not_hide_what_comes_until_then() -> None:
    shelf = Shelf([60 * n for n in range(100)])
    now = START + timedelta(minutes=6_000)
    for year in range(50):
        shelf.add((400 + year) * 1440)
    _, mark = await walked(shelf, now=now, size=10)
    shelf.add(6_000)
    found, _ = await walked(shelf, mark, now, size=10)
    assert "150" in found


@pytest.mark.parametrize(
    "says",
    [
        {"has_next_page": None},
        {"has_next_page": None, "pages": None},
        {"has_next_page": None, "pages": None, "page": None, "page_size": None},
        {"has_next_page": True},
        {"has_next_page": False},
    ],
)
async def test_the_end_is_found_by_whatever_is_said_of_it(says: dict[str, Any]) -> None:
    shelf = Shelf(range(250))
    shelf.says = says
    found, _ = await walked(shelf)
    assert len(found) == 250
    assert len(shelf.asked) in (3, 4)


async def test_a_server_with_smaller_pages_than_asked_for_is_read_whole() -> None:
    shelf = Shelf(range(95))
    usual = shelf.fetch

    async def fetch(number: int, size: int) -> Page:
        return await usual(number, min(size, 20))

    shelf.fetch = fetch  # type: ignore[method-assign]
    found, mark = await walked(shelf)
    assert len(found) == 95
    shelf.add(100)
    found, _ = await walked(shelf, mark)
    assert "95" in found


async def test_the_same_page_again_and_again_is_an_error() -> None:
    shelf = Shelf(range(250))
    usual = shelf.fetch

    async def fetch(number: int, size: int) -> Page:
        page = await usual(1, size)
        page.page = None
        return page

    shelf.fetch = fetch  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="the same page again"):
        await walked(shelf)


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.floats(0, 1e10)))
def test_marks_are_kept_as_they_are_and_nonsense_is_none(text: str, full: dict[str, float]) -> None:
    marks = {name: Mark("2026-01-01T00:00:00+00:00", 3, at) for name, at in full.items()}
    assert read_marks(write_marks("u", marks), "u") == marks
    assert read_marks(write_marks("u", marks), "v") == {}
    assert read_marks(text, "u") == {}
