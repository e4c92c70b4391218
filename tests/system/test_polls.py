"""Polls of a whole mailbox bring each document once, and ask a source no more than need be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from stages.check import examine
from stages.kind import Kind
from stages.sandbox import FaultSpec
from stages.sandbox.mailbox import Page
from stages.sources.billtobox import api
from stages.sources.billtobox.source import BilltoboxSource
from tests.helpers.platform import entries
from tests.helpers.trial import trial

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


async def test_each_is_brought_once_while_others_arrive(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=150, latency=0.002) as it:
        config = it.config("page_size = 5\n")

        async def arrive() -> None:
            for _ in range(10):
                await anyio.sleep(0.02)
                it.mailbox.grow(7)

        async with anyio.create_task_group() as group:
            group.start_soon(arrive)
            first = await it.bring(config)
        second = await it.bring(config)
        assert first.counters.listed + second.counters.listed == 220
        assert it.delivered() == it.held()
        assert {len(told) for told in it.journal().values()} == {1}


async def test_a_list_that_forgets_nothing_is_walked_twice(tmp_path: Path) -> None:
    """A platform that keeps showing what it was told of costs one more walk, not several."""
    async with trial(tmp_path, FaultSpec("ignored-acknowledgement")) as it:
        asked: Counter[str] = Counter()
        page = it.mailbox.page

        def counting(kind: Kind, *where: Any, **more: Any) -> Page:
            asked[kind] += 1
            return page(kind, *where, **more)

        it.mailbox.page = counting  # type: ignore[method-assign]
        await it.bring(it.config())
        assert asked == {"purchase": 6, "sales": 6, "statement": 6}
        before = it.delivered()
        outcome = await it.bring(it.config())
        # It was told before this poll and has forgotten it: it is told again, and what has no
        # revision is looked at before.
        assert outcome.counters.listed == outcome.counters.duplicates == 24
        assert not outcome.counters.delivered
        assert it.faults.hits["ignored-acknowledgement"] == 60
        assert it.delivered() == it.held() == before


@pytest.mark.parametrize("formats", ["ubl+pdf", "pdf"])
async def test_what_the_source_forgot_is_not_delivered_again_in_any_form(
    tmp_path: Path, formats: str
) -> None:
    async with trial(tmp_path, FaultSpec("ignored-acknowledgement")) as it:
        more = f'[delivery]\nformats = "{formats}"\nduplicates = "deliver"\n'
        text = it.path.read_text("utf-8")
        it.path.write_text(text.replace("[delivery]\n", more), "utf-8")
        await it.bring(it.config())
        before = it.delivered()
        for _ in range(2):
            outcome = await it.bring(it.config())
            assert not outcome.counters.delivered
        assert it.delivered() == before


async def test_what_could_not_be_told_is_told_by_the_next_poll(tmp_path: Path) -> None:
    async with trial(tmp_path, FaultSpec("forbidden", on="acknowledgement")) as it:
        await it.bring(it.config())
        assert it.delivered() == it.held()
        assert not it.journal()
        it.faults.specs = ()
        outcome = await it.bring(it.config())
        assert not outcome.counters.listed
        assert set(it.journal()) == {document.id for document in it.mailbox}


async def test_a_quiet_poll_costs_one_request_for_each_list(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=200) as it:
        config = it.config()
        await it.bring(config)
        asked: list[str] = []
        source = BilltoboxSource(config.sources[0], config.service.state_dir)
        page = source._fetch_page

        async def counting(scoped: Any, number: int, size: int) -> api.Page:
            asked.append(scoped.resource.prefix)
            return await page(scoped, number, size)

        source._fetch_page = counting  # type: ignore[method-assign]
        assert await entries(source, config) == []
        await source.close()
        # One list is that of one kind and one company.
        assert Counter(asked) == {"purchase": 3, "sales": 3, "statement": 3}


async def test_many_companies_are_walked_at_once(tmp_path: Path) -> None:
    """So that a slow server does not make it take forever: requests overlap, within a bound."""
    async with trial(tmp_path, documents=200, companies=40, latency=0.01) as it:
        outcome = await it.bring(it.config())
        assert outcome.counters.delivered == 200


async def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        config = it.config('sales_path = "ventes"\n')
        outcome = await it.bring(config)
        said = outcome.failures["billtobox"]
        assert "list of sales invoices: there is no list at /ventes (404)" in said
        assert outcome.counters.delivered == sum(d.kind is not Kind.SALES for d in it.mailbox)


async def test_a_check_spends_no_refresh_token(tmp_path: Path) -> None:
    """The service may be running, and a refresh token is good for one sign-in."""
    async with trial(tmp_path, documents=4) as it:
        (tmp_path / "refresh").write_text(it.sandbox.refresh_token)
        config = it.config('refresh_token = { file = "refresh" }\n')
        for _ in range(2):
            (finding,) = [one for one in await examine(config) if one.about == "source"]
            assert finding.ok
            assert "not signed in" in finding.sentence
        outcome = await it.bring(config)
        assert not outcome.failures
        assert it.delivered() == it.held()
        (finding,) = [one for one in await examine(config) if one.about == "source"]
        assert finding.ok
        outcome = await it.bring(config)
        assert not outcome.failures
        (tmp_path / "refresh").unlink()
        (finding,) = [one for one in await examine(config) if one.about == "source"]
        assert not finding.ok
        assert "the secret can't be read" in finding.sentence
