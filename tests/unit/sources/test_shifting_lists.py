"""The walk through the lists of a source, against every way in which a list may shift."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, strategies as st
from msgspec import Raw

from pipeline.errors import RetryableError, SignInRefused, SourceError, SourceUnavailable
from stages.sources.billtobox.api import Page
from stages.sources.billtobox.pagination import FIRST_PAGES, MAX_LISTS_AHEAD, Pagination
from stages.sources.http.keyed import Failure

pytestmark = pytest.mark.anyio


# The walk itself, against every way in which a list may shift.


class Shelf:
    """A list that is served in pages, and changes between two answers."""

    def __init__(self, ids: Sequence[int], total: int | None, size: int) -> None:
        self.ids = list(ids)
        self.total = total
        self.size = size
        self.asked = 0

    async def ask(self, _: str, number: int) -> Page:
        self.asked += 1
        assert self.asked < 500
        some = self.ids[number * self.size : (number + 1) * self.size]
        total = len(self.ids) if self.total is None else self.total
        return Page([Raw(str(one).encode()) for one in some], total)


#: A draw of its own for each page that leaves or arrives would cost more than all the walks.
SEEDS = st.integers(0, 2**32)


def some_of(seen: set[int], chance: Random) -> set[int]:
    """None, few, half, or all of them."""
    share = chance.choice([0, 0.1, 0.5, 1])
    return {one for one in sorted(seen) if chance.random() < share}


def shown(page: Page) -> list[int]:
    return [int(bytes(raw)) for raw in page.results]


@given(
    count=st.integers(0, 100),
    size=st.integers(1, 20),
    total=st.none() | st.integers(0, 300),
)
def test_a_list_that_stands_still_is_shown_whole_and_nothing_twice(
    count: int, size: int, total: int | None
) -> None:
    shelf = Shelf(range(count), total, size)

    async def walk() -> list[int]:
        pages = Pagination(["list"], shelf.ask, size).pages()
        return [one async for _, page in pages for one in shown(page)]

    # Where the total is a wrong one, a page may be shown twice.
    found = asyncio.run(walk())
    assert set(found) == set(range(count))
    assert total is not None or len(found) == count


@given(seed=SEEDS, count=st.integers(0, 100), size=st.integers(1, 12))
def test_a_list_that_documents_leave_once_shown_is_shown_whole_in_one_walk(
    seed: int, count: int, size: int
) -> None:
    chance = Random(seed)
    shelf = Shelf(range(count), None, size)

    async def walk() -> set[int]:
        seen: set[int] = set()
        async for _, page in Pagination(["list"], shelf.ask, size).pages():
            seen |= set(shown(page))
            gone = some_of(seen, chance)
            shelf.ids = [one for one in shelf.ids if one not in gone]
        return seen

    assert asyncio.run(walk()) == set(range(count))


@given(seed=SEEDS, count=st.integers(0, 60), size=st.integers(1, 9))
def test_whatever_arrives_and_leaves_meanwhile_walks_until_quiet_miss_none(
    seed: int, count: int, size: int
) -> None:
    chance = Random(seed)
    shelf = Shelf(range(count), None, size)
    arrivals = iter(range(1000, 1000 + chance.randint(0, 30)))

    async def walks() -> set[int]:
        seen: set[int] = set()
        while True:
            before = len(seen)
            async for _, page in Pagination(["list"], shelf.ask, size).pages():
                seen |= set(shown(page))
                gone = some_of(seen, chance)
                shelf.ids = [one for one in shelf.ids if one not in gone]
                if chance.random() < 0.5 and (new := next(arrivals, None)) is not None:
                    shelf.ids.insert(chance.randint(0, len(shelf.ids)), new)
            shelf.ids = [one for one in shelf.ids if one not in seen]
            if len(seen) == before and not shelf.ids:
                return seen

    seen = asyncio.run(walks())
    assert set(range(count)) <= seen
    assert not shelf.ids


@pytest.mark.parametrize("error", [SourceError("b", "no list"), SourceUnavailable("b")])
async def test_lists_that_fail_stop_no_other_and_are_told_at_the_end(error: Failure) -> None:
    async def ask(name: str, number: int) -> Page:
        if name == "b":
            raise error
        return Page([Raw(b"1")] if not number else [], 1)

    walk = Pagination(["a", "b", "c"], ask, 10)
    assert [name async for name, _ in walk.pages()] == ["a", "c"]
    assert walk.failures == [("b", error)]
    assert walk.total == 2


async def test_a_list_that_failed_before_is_asked_for_when_all_others_are_read() -> None:
    asked: list[str] = []

    async def ask(name: str, number: int) -> Page:
        asked.append(name)
        return Page([Raw(f"{number}".encode())] if number < 3 else [], 3)

    walk = Pagination(["a", "b", "c"], ask, 1, late={"a"})
    assert len([name async for name, _ in walk.pages()]) == 9
    assert asked[-4:] == ["a"] * 4
    assert "a" not in asked[:-4]


@pytest.mark.parametrize("at", [0, 20])
async def test_when_nothing_of_many_lists_can_be_had_the_others_are_not_asked(at: int) -> None:
    """A platform that is down is not asked for each of three hundred companies in turn."""
    asked: list[int] = []

    async def ask(name: int, number: int) -> Page:
        asked.append(name)
        if name >= at:
            raise SourceUnavailable("source")
        return Page([], 0)

    with pytest.raises(SourceUnavailable):
        async for _ in Pagination(list(range(500)), ask, 10).pages():
            pass
    assert len(asked) <= at + 2 * FIRST_PAGES


async def test_a_rest_that_is_asked_for_ends_the_walk_at_once() -> None:
    asked: list[int] = []

    async def ask(name: int, number: int) -> Page:
        asked.append(name)
        if name == 3:
            raise RetryableError("source", retry_after=3600)
        await anyio.lowlevel.checkpoint()
        return Page([], 0)

    with pytest.raises(RetryableError):
        async for _ in Pagination(list(range(500)), ask, 10).pages():
            pass
    assert len(asked) <= FIRST_PAGES


async def test_the_total_is_told_once_every_list_has_said_which_it_does_before_the_rest() -> None:
    """Whoever looks at the bar of a catch-up is shown no total that grows under it."""
    asked: list[tuple[int, int]] = []

    async def ask(name: int, number: int) -> Page:
        asked.append((name, number))
        return Page([Raw(b"1"), Raw(f"{number}".encode())] if number < 3 else [], 6)

    walk = Pagination(list(range(20)), ask, 2)
    assert walk.total is None
    seen = 0
    async for _, page in walk.pages():
        assert walk.total == 120
        seen += len(page.results)
    assert seen == 120
    assert [number for _, number in asked[:24]] == [*[0] * 20, 2, 1, 2, 1]


async def test_documents_come_while_lists_are_begun_and_none_is_told_of_half_a_total() -> None:
    """Lists of one page hold nothing back."""

    async def ask(name: int, number: int) -> Page:
        return Page([Raw(b"1")], 1)

    walk = Pagination(list(range(20)), ask, 2)
    totals = [walk.total async for _ in walk.pages()]
    assert totals == [*[None] * 16, *[20] * 4]


async def test_only_so_many_lists_are_begun_ahead_as_may_hold_back_a_page() -> None:
    begun: set[int] = set()
    ended: Counter[int] = Counter()
    most = 0

    async def ask(name: int, number: int) -> Page:
        nonlocal most
        begun.add(name)
        most = max(most, len(begun) - sum(count == 2 for count in ended.values()))
        return Page([Raw(f"{number}".encode())] if number < 2 else [], 2)

    async for name, _ in Pagination(list(range(3 * MAX_LISTS_AHEAD)), ask, 1).pages():
        ended[name] += 1
    assert MAX_LISTS_AHEAD - FIRST_PAGES <= most <= MAX_LISTS_AHEAD
    assert set(ended.values()) == {2}
    assert len(ended) == 3 * MAX_LISTS_AHEAD


async def test_what_concerns_the_whole_source_ends_the_walk_at_once() -> None:
    asked = []

    async def ask(name: str, number: int) -> Page:
        asked.append(name)
        await anyio.lowlevel.checkpoint()
        if name == 3:
            raise SignInRefused("source")
        return Page([], 0)

    with pytest.raises(SignInRefused):
        async for _ in Pagination(list(range(50)), ask, 10).pages():  # type: ignore[arg-type]
            pass
    assert len(asked) <= FIRST_PAGES


async def test_when_none_of_the_first_lists_can_be_read_the_others_are_not_asked() -> None:
    asked = []

    async def ask(name: int, number: int) -> Page:
        asked.append(name)
        raise SourceError("source", "the certificate")

    with pytest.raises(SourceError):
        async for _ in Pagination(list(range(500)), ask, 10).pages():
            pass
    assert len(asked) == FIRST_PAGES
