"""Screenshots: makes those of docs/ anew, of a service with trial documents, in a real browser.

    .venv/bin/python -m tests.screenshots

It needs what the tests of the page need: Chromium and playwright.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import anyio
from msgspec import structs

from pipeline.ledger.search import find
from stages.sandbox import FaultSpec
from stages.settings import destination
from tests.helpers.browser import browsing, tab
from tests.helpers.imports import ROOT
from tests.helpers.services import until, visiting, watched
from tests.helpers.trial import trial

FOLDER = ROOT / "docs" / "screenshots"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 780}


async def make(folder: Path) -> None:
    """Make all of them."""
    FOLDER.mkdir(exist_ok=True)
    async with trial(folder, documents=150, companies=40) as it:
        config = watched(it.config(), interval=5)
        config = structs.replace(config, alerts=structs.replace(config.alerts, name="office"))
        for number, key in ((7, "purchases"), (11, "sales")):
            place = destination(config.delivery, config.companies[number], key)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("no folder")
        async with browsing() as browser, visiting(config) as visitor:
            await until(lambda: it.delivered().total() > 130)
            url = f"http://127.0.0.1:{visitor.port}"

            async def sign_in(page: Any) -> None:
                code = str(visitor.service.monitor.invite("Ann")).partition("?")[2]
                await page.goto(f"/open?{code}")
                await page.locator("#attention li").first.wait_for()

            async with tab(browser, url, viewport=WIDE) as page:
                await sign_in(page)
                await page.screenshot(path=FOLDER / "overview.png")
                await page.locator("#attention a.button").first.click()
                await page.get_by_role("heading", level=1).wait_for()
                await page.screenshot(path=FOLDER / "to-do.png")
                ledger = config.service.state_dir / "ledger.sqlite"
                found = next(one for one in find(ledger, "invoice") if one.counterparty)
                await page.goto(f"/find?q={found.counterparty.split()[0]}")
                await page.screenshot(path=FOLDER / "search.png")
                await page.goto(f"/find?q={found.sha256}")
                await page.screenshot(path=FOLDER / "document.png")
                await page.locator("#readable").click()
                while not any("extension://" in frame.url for frame in page.frames):
                    await anyio.sleep(0.1)
                # What the browser shows PDFs with draws in its own time.
                await anyio.sleep(3)
                await page.screenshot(path=FOLDER / "readable.png")
            dark: dict[str, Any] = {"viewport": NARROW, "color_scheme": "dark"}
            async with tab(browser, url, "nl-BE", **dark) as page:
                await sign_in(page)
                await page.screenshot(path=FOLDER / "telephone.png")
            it.faults.specs = (FaultSpec("unavailable"),)
            async with tab(browser, url, "fr-BE", viewport=WIDE, color_scheme="dark") as page:
                await sign_in(page)
                await page.locator("#attention .tag", has_text="source en panne").wait_for()
                await page.screenshot(path=FOLDER / "source-fails.png")


def shrink(path: Path) -> None:
    """Make a picture a third of its size, where the library for that is installed."""
    try:
        from PIL import Image  # noqa: PLC0415 - where it is
    except ImportError:
        return
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="") as made:
        books = Path(made) / "books"
        anyio.run(make, books)
    for one in FOLDER.glob("*.png"):
        shrink(one)
