"""The page in a real browser: live, by keyboard, in three languages, narrow and accessible."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import pytest
from msgspec import structs

from pipeline.ledger.search import find, story
from pipeline.monitor.page import live, overview
from stages.sandbox import FaultSpec
from stages.settings import destination
from tests.helpers.browser import browsing, overflow, tab, violations
from tests.helpers.rendered import text_of
from tests.helpers.served_page import served, signed_in
from tests.helpers.services import until, visiting, watched
from tests.helpers.trial import trial

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all of them, so that they share a browser."""
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Any]:
    async with browsing() as one:
        yield one


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "INTERVAL", 0.1)
    monkeypatch.setattr(live, "MAX_SHARE", 1)
    monkeypatch.setattr(overview, "UNDELIVERED_AGE", 0.1)


async def test_a_company_breaks_and_is_mended_before_ones_eyes(
    tmp_path: Path, browser: Any
) -> None:
    async with trial(tmp_path, documents=12, companies=40) as it:
        config = watched(it.config(), interval=0.5)
        company = config.companies[25]
        async with served(it, config) as (_, url), tab(browser, url) as page:
            await page.goto("/")
            await page.get_by_text("All is well").wait_for()
            assert await page.locator("#attention li").count() == 0
            assert await page.locator("#companies").get_by_text(company.name).count() == 0
            await page.evaluate("window.stays = true")
            # It is none of the first of 40, until its folder refuses what comes now.
            folder = destination(config.delivery, company, "purchases").parent
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.write_text("no folder")
            it.mailbox.grow(48)
            first = page.locator("#attention li").first
            await first.get_by_text("folder refuses").wait_for()
            assert company.name in await first.inner_text()
            row = page.locator("#companies tbody tr").first
            await row.get_by_text(company.name).wait_for()
            await page.locator("#attention").get_by_text("waits").first.wait_for()
            # Then its source, too, which concerns all of them.
            it.faults.specs = (FaultSpec("unavailable"),)
            await first.get_by_text("billtobox can't be read").wait_for()
            assert "40 companies get nothing until then" in await first.inner_text()
            it.faults.specs = ()
            folder.unlink()
            await page.get_by_text("All is well").wait_for()
            assert await page.evaluate("window.stays")


async def test_all_is_done_by_keyboard_alone(tmp_path: Path, browser: Any) -> None:
    async with trial(tmp_path, documents=12) as it:
        config = watched(it.config(), interval=600)
        ledger = config.service.state_dir / "ledger.sqlite"
        async with served(it, config) as (visitor, url), tab(browser, url) as page:
            await signed_in(visitor, page)
            it.mailbox.grow(3)
            await page.keyboard.press("Tab")
            assert await focused(page) == "Skip to the content"
            # Fetch now.
            await tab_to(page, "Fetch now")
            await page.keyboard.press("Enter")
            await page.get_by_text("Source billtobox is polled now.").wait_for()
            await until(lambda: it.delivered() == it.held())
            # Search, and open what is found.
            found = next(one for one in find(ledger, "invoice") if one.counterparty)
            await tab_to(page, "Search for a document")
            await page.keyboard.type(found.counterparty)
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/*")
            await page.get_by_role("heading", level=1).wait_for()
            if "/find" in page.url:
                await tab_to(page, found.number)
                await page.keyboard.press("Enter")
            await page.get_by_role("heading", name="What became of it").wait_for()
            # Deliver it again.
            await tab_to(page, "Deliver again")
            await page.keyboard.press("Enter")
            await page.locator(".said").get_by_text("delivered again").wait_for()
            await until(lambda: (it.delivered() - it.held()).total() == 1)
            told = story(ledger, found.key)
            assert told is not None
            assert [one.who for one in told.actions] == ["Ann (page, 127.0.0.1)"]
            await page.get_by_role("heading", name="Who did what").wait_for()
            # Where the focus is, it stays when what is around it is made anew.
            await page.goto("/")
            await tab_to(page, "Pause: billtobox")
            held = len(it.mailbox)
            it.mailbox.grow(5)
            visitor.service.poll_now("billtobox")
            await page.locator("#flow").get_by_text(f"{held + 6} documents").wait_for()
            assert await focused(page) == "Pause: billtobox"
            await page.keyboard.press("Enter")
            await page.get_by_text("Source billtobox is paused.").wait_for()


async def test_it_speaks_the_language_of_its_reader(tmp_path: Path, browser: Any) -> None:
    async with trial(tmp_path, documents=6) as it:
        config = watched(it.config(), interval=0.3)
        async with served(it, config) as (_, url):

            async def greeted(locale: str, language: str, words: str) -> None:
                async with tab(browser, url, locale) as page:
                    await page.goto("/")
                    await page.get_by_text(words).wait_for()
                    assert await page.locator("html").get_attribute("lang") == language

            async with anyio.create_task_group() as group:
                group.start_soon(greeted, "fr-BE", "fr", "Tout va bien")
                group.start_soon(greeted, "nl-BE", "nl", "Alles is in orde")
                group.start_soon(greeted, "de-DE", "en", "All is well")
            async with tab(browser, url, "fr-BE") as page:
                await page.goto("/companies")
                await page.get_by_title("Nederlands").click()
                await page.get_by_role("heading", name="Bedrijven").wait_for()
                # It is kept, and what comes later is said in it too.
                await page.goto("/")
                await page.get_by_text("Alles is in orde").wait_for()
                it.faults.specs = (FaultSpec("unavailable"),)
                await page.get_by_text("bron faalt").first.wait_for()
                await page.get_by_text("De bron antwoordde 503").first.wait_for()


async def test_documents_are_read_in_the_browser(tmp_path: Path, browser: Any) -> None:
    async with trial(tmp_path, documents=8, companies=2) as it:
        config = watched(it.config(), interval=600)
        # What one mailbox holds is of another company than the one that is configured.
        stranger, *others = config.companies
        changed = structs.replace(stranger, identifier="BE0403170701", accounts=())
        config = structs.replace(config, companies=(changed, *others))
        ledger = config.service.state_dir / "ledger.sqlite"
        async with visiting(config) as visitor:
            await until(lambda: len(it.journal()) == len(it.mailbox))
            url = f"http://127.0.0.1:{visitor.port}"
            rows = [one for one in find(ledger, "invoice") if not one.path.endswith(".pdf")]
            async with tab(browser, url, "fr-BE") as page:
                for state in ("delivered", "quarantined"):
                    one = next(row for row in rows if row.state == state)
                    query = {"source": one.key.source, "id": one.key.id}
                    await page.goto(f"/document?{urlencode(query)}")
                    await tab_to(page, "Lire")
                    await page.keyboard.press("Enter")
                    await page.wait_for_url("**/document/readable**")
                    # What shows PDFs in this browser is a part of its own, which the policy allows.
                    while not any("extension://" in frame.url for frame in page.frames):
                        await anyio.sleep(0.05)
                    french = {"Accept-Language": "fr-BE"}
                    answer = await page.context.request.get(page.url, headers=french)
                    text = text_of(await answer.body())
                    assert "facture" in text.casefold(), state
                    assert one.number in text or state == "quarantined"


async def test_it_is_accessible_and_fits_a_telephone(tmp_path: Path, browser: Any) -> None:
    async with trial(tmp_path, documents=30, companies=20) as it:
        folder = destination(it.config().delivery, it.config().companies[0], "purchases")
        folder.parent.mkdir(parents=True)
        folder.write_text("no folder")
        async with visiting(watched(it.config(), interval=5)) as visitor:
            await until(lambda: it.delivered().total() > 20)
            url = f"http://127.0.0.1:{visitor.port}"
            steps = ("", "#attention a.button", "ul.documents a", "/find?q=a", "/companies")

            async def looked_at(scheme: str, locale: str, width: int, steps: Sequence[str]) -> None:
                size = {"width": width, "height": 800}
                async with tab(browser, url, locale, color_scheme=scheme, viewport=size) as page:
                    await signed_in(visitor, page)
                    await page.locator("#attention li").first.wait_for()
                    for step in steps:
                        if step.startswith("/"):
                            await page.goto(step)
                        elif step:
                            await page.locator(step).first.click()
                            await page.wait_for_load_state()
                        assert not await overflow(page), (step, width)
                        assert not await violations(page), (step, scheme)

            async with anyio.create_task_group() as group:
                group.start_soon(looked_at, "light", "fr-BE", 360, steps)
                # In the dark the colours are others, and all else is the same.
                group.start_soon(looked_at, "dark", "nl-BE", 1500, steps[:3])


async def test_it_works_without_script(tmp_path: Path, browser: Any) -> None:
    async with trial(tmp_path, documents=6) as it:
        config = watched(it.config(), interval=600)
        async with (
            served(it, config) as (visitor, url),
            tab(browser, url, java_script_enabled=False) as page,
        ):
            await signed_in(visitor, page)
            await page.get_by_text("All is well").wait_for()
            await page.get_by_role("button", name="Fetch now: billtobox").click()
            await page.get_by_text("Source billtobox is polled now.").wait_for()
            await page.get_by_role("button", name="Sign out").click()
            await page.get_by_role("heading", name="Sign in").wait_for()


async def focused(page: Any) -> str:
    """What a reader hears of what has the focus."""
    said: str = await page.evaluate(
        """() => { const one = document.activeElement;
        return (one.ariaLabel || one.textContent || "").trim().replace(/\\s+/g, " "); }"""
    )
    return said


async def tab_to(page: Any, name: str) -> None:
    for _ in range(120):
        if await focused(page) == name:
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached by the keyboard")
