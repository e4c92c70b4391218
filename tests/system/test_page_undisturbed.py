"""The page in a real browser: what changes does not disturb who reads, copies or types."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs

from pipeline.config.monitor import MonitorSettings
from pipeline.monitor.page import live, overview
from tests.helpers.browser import browsing, tab, violations
from tests.helpers.person import guarded
from tests.helpers.served_page import served
from tests.helpers.services import PATIENCE, until, visiting, watched
from tests.helpers.trial import trial

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

NOBODIES = ("BE0403170701", "BE0428759497", "BE0202239951")
SELECT = """() => {
  const range = document.createRange();
  range.selectNodeContents(document.querySelector("#sources .name"));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "INTERVAL", 0.1)
    monkeypatch.setattr(live, "MAX_SHARE", 1)
    monkeypatch.setattr(overview, "UNDELIVERED_AGE", 0.1)


async def updated(page: Any, before: str | None) -> None:
    """Wait for the next update."""
    with anyio.fail_after(PATIENCE):
        while await page.get_attribute("body", "data-updates") == before:
            await anyio.sleep(0.05)


async def test_an_update_leaves_focus_and_selection_where_they_are(tmp_path: Path) -> None:
    async with (
        trial(tmp_path, documents=6) as it,
        served(it, watched(it.config(), interval=600)) as (visitor, url),
        browsing() as browser,
        tab(browser, url) as page,
    ):
        actions = visitor.service.monitor._page.actions  # type: ignore[union-attr] # it has one
        await page.goto("/open?" + str(visitor.service.monitor.invite("Ann")).partition("?")[2])
        await updated(page, None)
        pause = page.locator("#s-billtobox-pause")
        await pause.focus()
        # Another one is quicker: the button goes, and the focus stays beside it.
        before = await page.get_attribute("body", "data-updates")
        await actions.pause("billtobox", "jan")
        await updated(page, before)
        await page.locator("#s-billtobox-resume").wait_for()
        assert await page.evaluate("document.activeElement.id") == "sources"
        await page.locator("#table-companies").focus()
        await page.fill("header [name=q]", "half a w")
        await page.locator("header [name=q]").focus()
        # What is being copied stays until that is done.
        await page.evaluate(SELECT)
        before = await page.get_attribute("body", "data-updates")
        await actions.resume("billtobox", "jan")
        await updated(page, before)
        assert await page.evaluate("getSelection().toString()") == "billtobox"
        assert await page.input_value("header [name=q]") == "half a w"
        await page.evaluate("getSelection().removeAllRanges()")
        await page.locator("#s-billtobox-pause").wait_for()
        # All that the keyboard reaches is found again after an update.
        assert not await page.evaluate(
            """() => [...document.querySelectorAll(
                "main a, main button, main summary, main [tabindex=\'0\']"
            )].filter((one) => !one.id).map((one) => one.outerHTML)"""
        )


async def test_one_who_may_not_look_any_more_is_sent_to_sign_in(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        here = MonitorSettings(f"127.0.0.1:{taken.getsockname()[1]}")
    async with (
        trial(tmp_path, documents=2) as it,
        served(it, watched(it.config(), here, interval=600)) as (visitor, url),
        browsing() as browser,
    ):
        context = await browser.new_context(base_url=url, locale="en-GB")
        page = await context.new_page()
        await page.clock.install()
        await page.goto("/")
        await updated(page, None)
        visitor.service.monitor.apply(structs.replace(guarded(tmp_path), listen=here.listen))
        await page.get_by_text("The connection is lost").wait_for()
        with anyio.fail_after(PATIENCE):
            while not page.url.endswith("/sign-in"):
                await page.clock.fast_forward(31_000)
                await anyio.sleep(0.2)
        await context.close()


async def test_what_waits_is_accessible_however_many_reasons_there_are(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=8, companies=3) as it:
        config = it.config()
        one, two, _ = (
            structs.replace(company, identifier=number, accounts=())
            for company, number in zip(config.companies, NOBODIES, strict=True)
        )
        companies = (one, two, *config.companies[2:])
        async with (
            visiting(watched(structs.replace(config, companies=companies))) as visitor,
            browsing() as browser,
        ):
            await until(lambda: len(it.journal()) == len(it.mailbox))
            async with tab(browser, f"http://127.0.0.1:{visitor.port}") as page:
                await page.goto("/waiting")
                assert await page.locator("main section").count() > 1
                assert not await violations(page)
