"""What a walk over lists holds in memory, and where it ends, whatever the lists are like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import pytest
from msgspec import Raw, json

from stages.sources.billtobox import pagination as walk
from stages.sources.billtobox.api import Page
from stages.sources.billtobox.pages import read_page
from stages.sources.billtobox.pagination import FIRST_PAGES, Pagination

pytestmark = pytest.mark.anyio

Ask = Callable[[str, int], Awaitable[Page]]


def item(size: int, number: int) -> Raw:
    return Raw(json.encode({"id": number, "more": "x" * size}))


async def walked(lists: Sequence[str], ask: Ask, connections: int = FIRST_PAGES) -> int:
    pages = Pagination(lists, ask, 1, connections).pages()
    return sum([len(page.results) async for _, page in pages])


async def test_a_list_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_PAGES", 100)

    async def ask(_: str, number: int) -> Page:
        return Page([item(1, number)], total=10**9)

    assert 100 <= await walked(["one", "two"], ask) <= 100 + FIRST_PAGES


async def test_large_pages_are_asked_for_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_BYTES", 20_000)
    asking = most = 0

    async def ask(size: int, _: str, number: int) -> Page:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        await anyio.sleep(0.001)
        asking -= 1
        return Page([item(size, number)] if number < 100 else [], total=100)

    for size, connections, expected in ((1, 30, 30), (1, 3, 3), (9_000, 30, 2), (30_000, 30, 1)):
        most = 0
        assert await walked(["one"], partial(ask, size), connections) == 100
        assert most == expected


async def test_no_list_is_begun_while_much_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_BYTES", 20_000)
    begun: set[str] = set()
    ended: set[str] = set()
    most = 0

    async def ask(name: str, number: int) -> Page:
        nonlocal most
        begun.add(name)
        most = max(most, len(begun) - len(ended))
        if number == 2:
            ended.add(name)
        return Page([item(9_000, number)] if number < 2 else [], total=2)

    assert await walked([str(number) for number in range(60)], ask) == 120
    assert most <= FIRST_PAGES + 3


async def test_what_is_held_back_holds_nothing_else() -> None:
    body = b'{"junk": "%s", "results": [{"id": 1}], "total": 2}' % (b"x" * 1_000_000)
    page = await read_page(body)
    assert page.size_in_bytes == len(b'{"id": 1}')
    assert bytes(page.results[0].copy()) == b'{"id": 1}'


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b'{"results": [], "x": "\\ud800"}', 0),
        (b'{"results": [NaN]}', 1),
        (b' { "total" : 3 , "results" : [ NaN , {"id":2} , "a,b]" ] } ', 3),
        (b'{"x": {"results": [NaN]}, "results": [NaN, NaN]}', 2),
        (b'{"results": [{"id": 1}], "total": NaN}', 1),
        (b'{"results": [{"id": 1}], "total": %s}' % (b"[" * 9000 + b"]" * 9000), 1),
        (b'{"a": ["results"], "results": [NaN, NaN]}', 2),
        (b'{"results": {"id": NaN}}', 1),
        (b'{"results": [NaN', None),
        (b'{"results": [NaN]', None),
        (b'["results", [NaN]]', None),
        (b'{"results": [NaN]]', None),
        (b'{"results": [NaN}}', None),
        (b'{"message": "later"}', None),
        (b'{"total": 3}', None),
        (b'{"results": "later"}', None),
        (b"3", None),
        *((body, 0) for body in (b"", b" \n", b"null", b"[]", b"{}", b"\xef\xbb\xbf")),
        *((b'{"results": %s}' % none, 0) for none in (b"null", b"{}", b"[ ]", b'""', b"false")),
        (b'{"total": 0}', 0),
        (b'"', None),
    ],
)
async def test_items_are_cut_out_of_a_page_that_is_no_json(body: bytes, items: int | None) -> None:
    if items is None:
        with pytest.raises(ValueError):
            await read_page(body)
    else:
        assert len((await read_page(body)).results) == items
