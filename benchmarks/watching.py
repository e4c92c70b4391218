"""Those who look at the page while documents are brought: a browser, or its live events alone."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import urlopen

from benchmarks.failure import BenchmarkError

#: Where a browser is looked for.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Seconds until the page has to be there, and kept up to date.
PATIENCE = 60.0


class Viewer(Protocol):
    """What looks at the first screen of the service at an address, as long as its block lasts."""

    def __call__(self, address: str, /) -> AbstractContextManager[None]:
        """The block begins when the page is shown, and has been brought up to date once."""


@contextmanager
def nobody(_: str) -> Iterator[None]:
    """Nobody looks."""
    yield


@contextmanager
def listener(address: str) -> Iterator[None]:
    """A program that takes the live events, as a browser does, and shows nothing."""
    with urlopen(f"{address}/", timeout=PATIENCE) as page:
        page.read()
    with closing(HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE)) as connection:
        connection.request("GET", "/live")
        events = connection.getresponse()
        # The first one: from now on it is kept up to date.
        events.readline()
        reading = threading.Thread(target=_read, args=(events,), daemon=True)
        reading.start()
        try:
            yield
        finally:
            connection.sock.shutdown(socket.SHUT_RDWR)
            reading.join(PATIENCE)


def _read(events: HTTPResponse) -> None:
    with suppress(OSError, HTTPException):
        while events.readline():
            pass


@contextmanager
def browsers() -> Iterator[Viewer]:
    """A Chromium without a window, which opens a tab for each block. BenchmarkError without one."""
    try:
        from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 - few have it
    except ImportError:
        raise BenchmarkError("playwright is not installed here, which drives the browser") from None
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        raise BenchmarkError("there is no browser here (apt-get install chromium)")
    # A browser's own sandbox needs more than a container gives to root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    options += ["--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=options)

        @contextmanager
        def tab(address: str) -> Iterator[None]:
            page = browser.new_page()
            try:
                page.goto(address, timeout=PATIENCE * 1000)
                is_live = "() => Number(document.body.dataset.updates || 0) > 0"
                page.wait_for_function(is_live, timeout=PATIENCE * 1000)
                yield
            except Error as error:
                raise BenchmarkError(f"the page is not shown: {error}") from None
            finally:
                page.close()

        try:
            yield tab
        finally:
            browser.close()
