"""A real browser that opens pages: Debian's Chromium, driven by playwright; none elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

#: Where it is looked for.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: The rules of WCAG 2.2, level AA, and what axe-core calls best practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def chromium() -> str:
    """The path of a browser; skips the test where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no browser: apt-get install chromium")
    return found


@asynccontextmanager
async def browsing() -> AsyncIterator[Any]:
    """A browser without a window; gives playwright's Browser."""
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    # A browser's own sandbox needs more than a container gives to root.
    options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    options += ["--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=chromium(), args=options)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def tab(browser: Any, url: str, locale: str = "en-GB", **options: Any) -> AsyncIterator[Any]:
    """A page of a browser of its own cookies. What its console complains of fails the test."""
    context = await browser.new_context(base_url=url, locale=locale, **options)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None,
    )
    try:
        yield page
    finally:
        await context.close()
    assert not complaints, complaints


async def violations(page: Any) -> list[str]:
    """What axe-core finds against accessibility, with the elements that it concerns."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    options = {"runOnly": RULES, "resultTypes": ["violations"]}
    found = await axe.run(page, options=options)
    return [
        f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found.response["violations"]
    ]


async def overflow(page: Any) -> list[str]:
    """The elements that are wider than the window, but for what scrolls by itself."""
    found: list[str] = await page.evaluate(
        """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
        [...document.querySelectorAll("body *")].filter(
          (one) => one.getBoundingClientRect().right > window.innerWidth + 1
            && !one.closest(".scroll")).map((one) => one.outerHTML.slice(0, 120))"""
    )
    return found
