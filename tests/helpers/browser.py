"""A real browser that opens pages: Debian's Chromium, driven by playwright; none elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

#: Where it is looked for.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """The path of a browser; skips the test where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no browser: apt-get install chromium")
    return found


@asynccontextmanager
async def browsing() -> AsyncIterator[object]:
    """A browser without a window; gives playwright's Browser."""
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    # A browser's own sandbox needs more than a container gives to root.
    options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(
            executable_path=chromium(), args=[*options, "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()
