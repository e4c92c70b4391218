"""Lists that no server ought to send: each is explained, and costs no other document."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw, json
from structlog.testing import capture_logs

from stages.model import Listed
from stages.sources.billtobox.api import Item
from stages.sources.billtobox.pages import (
    MAX_ITEM_BYTES,
    MAX_ITEMS,
    MAX_PAGE_BYTES,
    read_items,
    read_page,
)
from tests.helpers.cases import case
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
from tests.helpers.processes import mailbox, synqup

pytestmark = pytest.mark.anyio

LISTS: dict[str, tuple[Act, str]] = {
    "deep": (says(TYPE, body=DEEP), 'is no list of documents but begins with "[[['),
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
    "another answer": (says(TYPE, body=b'{"message": "later"}'), "is no list of documents"),
    "a total without results": (says(TYPE, body=b'{"total": 3}'), "is no list of documents"),
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


EMPTY: dict[str, Act] = {
    "204": says(TYPE, status=b"204 Nothing", body=b""),
    "no body": says(TYPE, body=b""),
    "null": says(TYPE, body=b"null"),
    "an array": says(TYPE, body=b"[]"),
    "an object": says(TYPE, body=b"{}"),
    "deep beside the items": says(TYPE, body=b'{"results": [], "x": %s}' % DEEP),
    "as reported": says(TYPE, body=b'{"total": 0, "results": null}'),
}


@pytest.mark.parametrize("name", EMPTY)
async def test_an_empty_answer_is_an_empty_list(tmp_path: Path, name: str) -> None:
    async with hostile(tmp_path, EMPTY[name], "list", documents=2) as (it, front):
        outcome = await it.bring(it.config(attempts=1))
        assert front.struck
        assert not outcome.failures
        assert not outcome.unreadable
        front.act = None
        await it.bring(it.config())
        assert it.delivered() == it.held()


def in_utf16(body: bytes) -> bytes:
    return body.decode().encode("utf-16")


@pytest.mark.parametrize("turn", [in_utf16, lambda body: b"\xef\xbb\xbf" + body])
async def test_a_list_in_another_encoding(tmp_path: Path, turn: Callable[[bytes], bytes]) -> None:
    async with hostile(tmp_path, turned(turn, TYPE), "list") as (it, front):
        assert not (await it.bring(it.config())).failures
        assert front.struck
        assert it.delivered() == it.held()


ITEMS_OF_NO_USE: dict[str, bytes] = {
    "half a surrogate": b'{"id": "\\ud800"}',
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "no id": b'{"purchase_invoice_number": "F1"}',
    "no id of use": b'{"id": null}',
    "an empty id": b'{"id": " "}',
    "an id that leads elsewhere": b'{"id": ".."}',
    "yes for an id": b'{"id": true}',
    "no JSON at all": b"<x>[&]{}",
    "a long number": b'{"id": %s}' % (b"9" * 5000),
    "a long id": b'{"id": "%s"}' % (b"x" * 5000),
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
        assert outcome.unreadable["billtobox"]
        told = [one for one in logs if one["event"] == "listed documents can't be read"]
        assert sum(one["items"] for one in told) == outcome.unreadable["billtobox"]
        assert len({one["list"] for one in told}) == len(told)
        for one in told:
            assert one["source"] == "billtobox"
            assert one["reason"]
            assert one["remedy"].startswith("Tell the platform")
        (source,) = it.summary().sources
        assert source.unreadable == outcome.unreadable["billtobox"]
        front.act = None
        assert not (await it.bring(it.config())).unreadable
        (source,) = it.summary().sources
        assert source.unreadable == 0


async def test_items_that_can_not_be_read_are_counted_by_list_and_reason(tmp_path: Path) -> None:
    async with platform() as one:
        nothing: list[Any] = [{"no": n} for n in range(40)]
        one.lists = {
            "purchase-invoices": [*purchases(3), *nothing, {"id": False}],
            "sales-invoices": [None, *purchases(2)],
        }
        config = configure(tmp_path, one)
        async with opened(config) as source:
            for _ in range(2):
                assert len(await entries(source, config)) == 5
                assert {
                    told.list: (told.items, len(told.reasons)) for told in source.unreadable
                } == {
                    "purchase invoices": (41, 2),
                    "sales invoices": (1, 1),
                }
            one.lists = {}
            await entries(source, config)
            assert not source.unreadable


VALUES = ("null", "true", "7", "7.5", "-1", '""', '"x"', "{}", '{"a": [1]}', "[]", "[1]")
NO_VALUES = ("NaN", "undefined", '"\\ud800"', "9" * 5000, "[" * 5000 + "]" * 5000)
HINTS = [field for field in Item.__struct_fields__ if field != "id"]


@pytest.mark.parametrize("value", [*VALUES, *NO_VALUES])
async def test_no_value_of_a_hint_hides_a_document(value: str) -> None:
    for hint in [*HINTS, "amount"]:
        raw = f'{{"{hint}": {value}, "id": "p1", "more": 1}}'
        (item,) = await read_items([Raw(raw.encode("utf-8"))])
        assert isinstance(item, Item), hint
        assert item.id == "p1"
        assert "\ud800" not in f"{item}"
    for hint in ("total", "size", "page", "other"):
        page = await read_page(f'{{"{hint}": {value}, "results": [{{"id": "p1"}}]}}'.encode())
        assert len(page.results) == 1, hint


async def test_a_text_that_is_no_utf8_hides_no_document() -> None:
    (item,) = await read_items([Raw(b'{"id": "p1", "purchase_invoice_number": "\xe9"}')])
    assert isinstance(item, Item)
    assert not item.number


@pytest.mark.parametrize(
    ("raw", "id_"),
    [("7", "7"), ("0", "0"), ("7.0", "7"), ("1e2", "100"), ('"a b"', "a b"), ("9" * 30, "9" * 30)],
)
async def test_an_id_may_be_a_number(raw: str, id_: str) -> None:
    (item,) = await read_items([Raw(f'{{"account": [], "id": {raw}}}'.encode())])
    assert isinstance(item, Item)
    assert str(item.id) == id_


async def test_what_is_obvious_is_read_in_any_type() -> None:
    raw = b'{"id": 1, "size": "2539", "statement_number": 12, "platform_id": 11.0}'
    (item,) = await read_items([Raw(raw)])
    assert isinstance(item, Item)
    assert (item.size, item.number, item.platform_id) == (2539, "12", "11")
    page = await read_page(b'{"total": "12", "size": " 5 ", "results": []}')
    assert (page.total, page.size) == (12, 5)


@pytest.mark.parametrize(
    "status", ["7", "{}", "null", '""', '" to_be_fetched "', '"To be fetched"', '"-"']
)
async def test_no_status_but_another_leaves_a_document_out(tmp_path: Path, status: str) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": [{"id": 1, "accounting_status": json.decode(status)}]}
        config = configure(tmp_path, one)
        async with opened(config) as source:
            assert len(await entries(source, config)) == 1


@pytest.mark.parametrize(
    "body",
    [
        ' \r\n\ufeff{"results": [{"id": "p1"}]}\n\0\0',
        '[{"id": "p1"}]',
        '[{"id": "p1"},]',
        '{"results": [{"id": "p1"},], "total": 1}',
        '{"results": {"id": "p1"}, "total": "1"}',
    ],
)
async def test_a_list_in_another_form_is_read_whole(body: str) -> None:
    page = await read_page(body.encode())
    (item,) = await read_items(page.results)
    assert isinstance(item, Item)
    assert item.id == "p1"


@pytest.mark.parametrize("size", ["0", '"0"', "-1", "0.0"])
async def test_a_size_of_nothing_is_none(tmp_path: Path, size: str) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": [{"id": 1, "size": json.decode(size)}]}
        config = configure(tmp_path, one)
        async with opened(config) as source:
            (entry,) = await entries(source, config)
        assert isinstance(entry.meta, Listed)
        assert entry.meta.size is None


REPORTED = {
    "bom": [],
    "empty-list-is-null": [],
    "item-account-is-an-object": ["p1"],
    "item-number-is-a-number": ["p1", "p2"],
    "item-size-is-text": ["p1"],
    "total-is-text": ["p1"],
}


@pytest.mark.parametrize("name", REPORTED)
async def test_lists_as_reported(name: str) -> None:
    page = await read_page(case("08-list-answers", f"{name}.json").read_bytes())
    items = await read_items(page.results)
    assert [item.id for item in items if isinstance(item, Item)] == REPORTED[name]
    assert len(items) == len(REPORTED[name])


def test_status_and_the_exit_status_tell_of_what_can_not_be_read(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 8, "--fault", "odd-item") as box:
        said = synqup("catch-up", "--config", box.config, expect=1)
        assert "listed documents can't be read and are left out. Tell the platform" in said
        box.assert_everything_stands_once()
        (source,) = box.status()["sources"]
        assert source["unreadable"] > 0
        assert source["error"] == ""
        told = synqup("status", "--config", box.config)
        assert f"{source['unreadable']} listed documents can't be read" in told


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
