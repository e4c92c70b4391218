"""Lists that no server ought to send: each is explained, and costs no other document."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from stages.sources.billtobox.pages import MAX_ITEM_BYTES, MAX_ITEMS, MAX_PAGE_BYTES
from stages.sources.billtobox.source import MAX_ITEM_WARNINGS
from tests.helpers.hostile import (
    DEEP,
    TYPE,
    Act,
    cut_gzip,
    hostile,
    says,
    turned,
)
from tests.helpers.platform import configure, entries, opened, platform, purchases

pytestmark = pytest.mark.anyio

LISTS: dict[str, tuple[Act, str]] = {
    "deep": (says(TYPE, body=DEEP), 'is no list of documents but begins with "[[['),
    "deep beside the items": (
        says(TYPE, body=b'{"results": [], "x": %s}' % DEEP),
        "is no list of documents",
    ),
    "a bomb": (
        says(TYPE, b"Content-Encoding: gzip", body=gzip.compress(b" " * 50_000_000)),
        f"longer than {MAX_PAGE_BYTES:,} bytes",
    ),
    "a million of items": (
        says(TYPE, body=b'{"results": [%s]}' % b",".join([b'{"id":1}'] * 800_000)),
        f"a page has more than {MAX_ITEMS:,} documents",
    ),
    "more items than a page has": (
        says(TYPE, body=b'{"results": [%s]}' % b",".join([b'{"id":1}'] * (MAX_ITEMS + 1))),
        f"a page has more than {MAX_ITEMS:,} documents",
    ),
    "nothing but brackets": (says(TYPE, body=b'{"results":' + b"[" * 5_000_000), "more than"),
    "nothing but quotes": (says(TYPE, body=b'{"results":["' + b'\\"' * 3_000_000), "is no list of"),
    "gzip without its end": (
        turned(cut_gzip, TYPE, b"Content-Encoding: gzip"),
        "ends too early",
    ),
    "a part": (turned(lambda body: body, TYPE, status=b"206 Part"), "answered 206"),
    "nothing": (says(TYPE, status=b"204 Nothing", body=b""), "is no list of documents"),
}


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_that_is_none_is_said(tmp_path: Path, name: str) -> None:
    act, said = LISTS[name]
    async with hostile(tmp_path, act, "list", documents=2) as (it, front):
        outcome = await it.bring(it.config(attempts=1))
        assert said in outcome.failures["billtobox"]
        assert outcome.failures["billtobox"].isprintable()
        front.act = None
        await it.bring(it.config())
        assert it.delivered() == it.held()


ITEMS_OF_NO_USE: dict[str, bytes] = {
    "half a surrogate": b'{"id": "x", "purchase_invoice_number": "\\ud800"}',
    "half a surrogate where nobody reads": b'{"id": "x", "other": {"deeper": ["\\udfff"]}}',
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "deep": b'{"id": "x", "y": %s}' % DEEP,
    "a number that is none": b'{"id": "x", "amount": NaN}',
    "a word that is none": b'{"id": "x", "amount": undefined}',
    "no JSON at all": b"<x>[&]{}",
    "a long number": b'{"id": %s}' % (b"9" * 5000),
    "a long id": b'{"id": "%s"}' % (b"x" * 5000),
    "a long revision": b'{"id": "x", "revision": "%s"}' % (b"x" * 5000),
    "long": b'{"id": "x", "y": "%s"}' % (b"x" * (MAX_ITEM_BYTES + 1)),
    "null": b"null",
    "a list": b"[1]",
    "a bracket in a string": b'{"id": ["]}\\"],"], "x": "\\ud800"}',
}


def among_others(item: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(b'"results": [{', b'"results": [%s, {' % item).replace(
        b'"results":[{', b'"results":[%s,{' % item
    )


@pytest.mark.parametrize("name", ITEMS_OF_NO_USE)
async def test_one_item_that_can_not_be_read_is_left_out_alone(tmp_path: Path, name: str) -> None:
    turn = among_others(ITEMS_OF_NO_USE[name])
    async with hostile(tmp_path, turned(turn, TYPE), "list", documents=6) as (it, front):
        with capture_logs() as logs:
            outcome = await it.bring(it.config())
        assert front.struck
        assert not outcome.failures
        assert it.delivered() == it.held()
        said = [one["event"] for one in logs]
        assert "a listed item can't be read" in said
        assert "listed items can't be read" in said


async def test_items_that_can_not_be_read_are_counted_and_not_all_told(tmp_path: Path) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": [*purchases(3), *({"no": n} for n in range(40))]}
        config = configure(tmp_path, one)
        async with opened(config) as source:
            for _ in range(3):
                with capture_logs() as logs:
                    assert len(await entries(source, config)) == 3
                assert source.unreadable == 40
            assert not logs
            one.lists = {"purchase-invoices": [*purchases(3), *({"other": n} for n in range(50))]}
            with capture_logs() as logs:
                await entries(source, config)
            assert [log for log in logs if log.get("items") == 50]
            assert len(source._unreadable) == MAX_ITEM_WARNINGS
            one.lists = {}
            await entries(source, config)
            assert not source.unreadable


async def test_a_server_that_knows_no_pages_may_send_thousands(tmp_path: Path) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": purchases(5000)}
        one.knows_size = False
        config = configure(tmp_path, one)
        async with opened(config) as source:
            found = {entry.id for entry in await entries(source, config)}
        assert len(found) == 5000


@pytest.mark.parametrize("total", [10**30, -1, -(10**30), int("9" * 400)])
@pytest.mark.parametrize("size", [None, -5, 0, 10**30, 1])
async def test_no_number_of_a_page_hides_a_document(
    tmp_path: Path, total: int, size: int | None
) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": purchases(120)}
        one.total = lambda _: total
        one.says_size = size
        config = configure(tmp_path, one, sales_path="", statements_path="")
        async with opened(config) as source:
            found = {entry.id for entry in await entries(source, config)}
            assert source.backlog() is None
        assert len(found) == 120


async def test_labels_hold_nothing_that_steers_a_terminal(tmp_path: Path) -> None:
    async with platform() as one:
        evil = "\x1b]0;x\x07\x9b31m\u202e\u2066\u200b\u2028\U000e0041" + "n" * 10_000
        one.lists = {"purchase-invoices": [{"id": evil[:500], "purchase_invoice_number": evil}]}
        config = configure(tmp_path, one)
        async with opened(config) as source:
            (entry,) = await entries(source, config)
        assert entry.label.isprintable()
        assert len(entry.label) < 600
