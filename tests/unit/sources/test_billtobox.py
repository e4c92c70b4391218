"""The Billtobox connector against a server on loopback whose lists shift, repeat and lie."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web
from msgspec import json, structs

from pipeline.errors import SignInRefused, SourceError
from pipeline.source import Entry, Outcome
from stages.delivery.plan import plan_of
from stages.kind import Kind
from stages.sources.billtobox.pagination import FIRST_PAGES
from tests.helpers.documents import classified, configured
from tests.helpers.invoices import ubl
from tests.helpers.platform import configure, entries, opened, platform, purchases

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("count", [0, 1, 49])
async def test_a_short_list_costs_one_request(tmp_path: Path, count: int) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": purchases(count)}
        config = configure(tmp_path, one)
        async with opened(config) as source:
            assert len(await entries(source, config)) == count
            assert source.backlog() == count
        assert len(one.asked) == 3


async def test_a_short_page_proves_nothing_where_the_list_does_not_say_its_total(
    tmp_path: Path,
) -> None:
    """A platform may give fewer than were asked for."""
    async with platform() as one:
        one.lists = {"purchase-invoices": purchases(3)}
        one.total = lambda _: None
        config = configure(tmp_path, one)
        async with opened(config) as source:
            assert len(await entries(source, config)) == 3
            assert source.backlog() is None
        assert len(one.asked) == 4


@pytest.mark.parametrize("total", [None, 0, 1, 7, 120, 121, 5_000, 10**12])
async def test_no_total_however_wrong_hides_a_document(tmp_path: Path, total: int | None) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": purchases(120)}
        one.total = lambda _: total
        config = configure(tmp_path, one, sales_path="", statements_path="")
        async with opened(config) as source:
            found = Counter(entry.id for entry in await entries(source, config))
        assert found == Counter(f"purchase/{number}" for number in range(120))
        assert len(one.asked) <= 5 + 2 * FIRST_PAGES


@pytest.mark.parametrize("total", [None, 50, 10_000])
async def test_a_list_that_knows_no_pages_is_left_soon(tmp_path: Path, total: int | None) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": purchases(50)}
        one.total = lambda _: total
        one.knows_pages = False
        config = configure(tmp_path, one, sales_path="", statements_path="")
        async with opened(config) as source:
            found = await entries(source, config)
        assert {entry.id for entry in found} == {f"purchase/{n}" for n in range(50)}
        assert len(one.asked) <= 1 + FIRST_PAGES


async def test_what_a_list_says_is_read_and_an_item_that_is_none_is_left_out(
    tmp_path: Path,
) -> None:
    async with platform() as one:
        one.lists = {
            "purchase-invoices": [
                {"id": 7, "purchase_invoice_number": "A\n1"},
                {"id": "x/y", "revision": 3},
                {"purchase_invoice_number": "no id"},
                {"id": ["a", "list"]},
                {"id": "told", "accounting_status": "FORWARDED"},
            ],
            "sales-invoices": [
                {"id": 7, "sales_invoice_number": "S", "sales_invoice_date": "2026-02-03T00:00:00Z"}
            ],
            "bank-statements": [{"id": "b", "sha256": "AB" * 32, "size": 9}],
        }
        config = configure(tmp_path, one)
        async with opened(config) as source:
            found = {entry.id: entry for entry in await entries(source, config)}
        assert set(found) == {"purchase/7", "purchase/x/y", "sales/7", "statement/b"}
        assert found["purchase/7"].label == "purchase invoice A 1 (id 7)"
        assert found["purchase/x/y"].revision == "3"
        assert found["purchase/x/y"].meta.id == "x/y"
        assert found["sales/7"].meta.issue_date == "2026-02-03"
        assert found["sales/7"].meta.kind is Kind.SALES
        assert found["sales/7"].meta.company == "BE0403170701"
        assert found["statement/b"].meta.sha256 == "AB" * 32
        assert found["statement/b"].revision == "AB" * 32


async def test_an_id_is_a_part_of_the_address_and_no_more(tmp_path: Path) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": [{"id": "../x?y#z"}]}
        config = configure(tmp_path, one, status_path="done")
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            async with source.fetch(entry) as incoming:
                assert b"".join([chunk async for chunk in incoming.chunks]) == b"bytes"
                assert incoming.announced.length == 5
            await source.acknowledge([Outcome(entry.id, accepted=False, reason="why")])
        assert one.asked[-2].headers["Accept"].startswith("application/xml")
        assert one.asked[-2].raw_path == "/v4/purchase-invoices/..%2Fx%3Fy%23z"
        assert one.asked[-1].raw_path == "/v4/purchase-invoices/..%2Fx%3Fy%23z/done"
        assert json.decode(one.told[0][2]) == {"status": "ERROR", "message": "why"}


async def test_what_is_not_published_is_a_setting(tmp_path: Path) -> None:
    async with platform() as one:
        one.lists = {"in": purchases(1), "all": [{"id": 9}]}
        config = configure(
            tmp_path,
            one,
            purchases_path="in",
            sales_path="",
            statements_path="",
            documents_path="all",
            pending_filter="state=new&x=a b",
            sort="id,asc",
            page_size=7,
        )
        async with opened(config) as source:
            found = await entries(source, config)
        assert {(entry.id, entry.meta.kind) for entry in found} == {
            ("purchase/0", Kind.PURCHASE),
            ("document/9", None),
        }
        for request in one.asked:
            assert dict(request.query) == {
                "page": "0",
                "size": "7",
                "state": "new",
                "x": "a b",
                "sort": "id,asc",
            }


SECOND = '[[companies]]\nname = "Two"\nidentifier = "BE0428759497"\nsource = "box"\n'


@pytest.mark.parametrize("says_whose", [True, False])
async def test_each_company_is_asked_for_by_its_own_id(tmp_path: Path, says_whose: bool) -> None:
    async with platform() as one:
        one.says_whose = says_whose
        one.lists = {
            "purchase-invoices": [
                {"id": 1, "platform_id": "11"},
                {"id": 2, "platform_id": "22"},
                {"id": 3, "platform_id": "33"},
            ]
        }
        config = configure(tmp_path, one, f'platform_id = "11"\n{SECOND}platform_id = "22"\n')
        async with opened(config) as source:
            found = await entries(source, config)
            assert {(entry.id, entry.meta.company) for entry in found} == {
                ("purchase/1", "BE0403170701"),
                ("purchase/2", "BE0428759497"),
            }
            assert "2 purchase invoices, 0 sales" in await source.check(config)
        assert len(one.asked) == 6 + 6


async def test_a_walk_begins_with_as_many_lists_at_once_as_the_one_before_came_to(
    tmp_path: Path,
) -> None:
    companies = 'platform_id = "0"\n' + "".join(
        f'{SECOND.replace("BE0428759497", whose)}platform_id = "{whose}"\n'
        for whose in (f"BE{one:08}{97 - one % 97:02}" for one in range(4_000_000, 4_000_020))
    )
    async with platform() as one:
        config = configure(tmp_path, one, companies)
        handle, enough = one.handle, anyio.Event()
        enough.set()
        asked = 0

        async def held(request: web.Request) -> web.Response:
            nonlocal asked
            if request.method == "GET":
                asked += 1
                if asked > FIRST_PAGES:
                    enough.set()
                await enough.wait()
            return await handle(request)

        one.answer = held
        async with opened(config) as source:
            assert await entries(source, config) == []
            asked, enough = 0, anyio.Event()
            with anyio.fail_after(100):
                assert await entries(source, config) == []
            assert asked == 21 * 3


async def test_where_one_company_has_no_id_all_are_asked_for_at_once(tmp_path: Path) -> None:
    async with platform() as one:
        one.lists = {"purchase-invoices": [{"id": 1, "platform_id": 11}, {"id": 3}]}
        config = configure(tmp_path, one, f'platform_id = "11"\n{SECOND}')
        async with opened(config) as source:
            found = await entries(source, config)
        assert {(entry.id, entry.meta.company) for entry in found} == {
            ("purchase/1", "BE0403170701"),
            ("purchase/3", None),
        }
        assert len(one.asked) == 3


@pytest.mark.parametrize("status", [404, 409, 410])
async def test_an_acknowledgement_that_nobody_wants_any_more_is_done(
    tmp_path: Path, status: int
) -> None:
    async with platform() as one:
        one.status = status
        config = configure(tmp_path, one)
        async with opened(config) as source:
            await source.acknowledge([Outcome("purchase/1", accepted=True)])
        assert len(one.told) == 1


async def test_what_is_left_of_a_list_that_was_switched_off_is_said(tmp_path: Path) -> None:
    async with platform() as one:
        config = configure(tmp_path, one, sales_path="")
        async with opened(config) as source:
            with pytest.raises(SourceError, match="sales 1: its list has been switched off"):
                await source.acknowledge([Outcome("sales/1", accepted=True)])


async def test_a_token_that_is_refused_is_renewed_once_for_all(tmp_path: Path) -> None:
    async with platform() as one:
        config = configure(tmp_path, one)
        async with opened(config) as source:
            await entries(source, config)
            one.token = "other"
            one.lists = {"purchase-invoices": purchases(1)}
            assert len(await entries(source, config)) == 1
        assert one.tokens == 2


async def test_a_token_that_is_always_refused_is_said(tmp_path: Path) -> None:
    async with platform() as one:
        config = configure(tmp_path, one)
        one.refusing = True
        async with opened(config) as source:
            with pytest.raises(SignInRefused, match="source box: the platform refuses a new token"):
                await entries(source, config)
        assert one.tokens <= 1 + 3


async def test_a_source_that_takes_only_few_at_once_gets_few_and_gives_all(tmp_path: Path) -> None:
    async with platform() as one:
        config = configure(
            tmp_path, one, attempts=20, retry_wait=0.005, longest_retry_wait=0.02, connections=16
        )
        flying = refused = 0
        handle = one.handle

        async def limited(request: web.Request) -> web.Response:
            nonlocal flying, refused
            if request.method == "POST":
                return await handle(request)
            flying += 1
            try:
                await anyio.sleep(0.003)
                if flying > 4:
                    refused += 1
                    return web.Response(status=429)
                return await handle(request)
            finally:
                flying -= 1

        one.answer = limited
        async with opened(config) as source:
            entry_ = [Entry(f"purchase/{number}", "", "it", None) for number in range(200)]
            waiting = iter(entry_)

            async def fetch(entry: Entry) -> None:
                async with source.fetch(entry) as incoming:
                    assert [chunk async for chunk in incoming.chunks] == [b"bytes"]

            async def work() -> None:
                for entry in waiting:
                    await source.retries.run(partial(fetch, entry))

            async with anyio.create_task_group() as group:
                for _ in range(16):
                    group.start_soon(work)
            # Sixteen who each back off on their own are refused many times as often.
            assert refused < 100
            assert source._limiter.limit < 10
            flying = -1000
            with anyio.fail_after(100):
                while source._limiter.limit < 16:
                    async with anyio.create_task_group() as group:
                        for _ in range(32):
                            group.start_soon(fetch, entry_[0])


async def test_an_id_in_the_name_of_a_file_is_the_platform_s_own(tmp_path: Path) -> None:
    config = configured(tmp_path)
    delivery = structs.replace(config.delivery, invoice_name="[id]")
    invoice = await classified(structs.replace(config, delivery=delivery), ubl(), "x/y")
    assert plan_of(invoice).name == "x_y.xml"
