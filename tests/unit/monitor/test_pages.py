"""However often a page is asked for, it is made only so often."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.monitor import pages
from pipeline.monitor.pages import Paced, Page

pytestmark = pytest.mark.anyio


class Asked:
    """What a page needs of a request."""

    def __init__(self) -> None:
        self.collected = 0
        self.app = {pages.WATCHED: self}
        self.collector = self

    async def current(self) -> int:
        self.collected += 1
        return self.collected


async def bodies(request: Any, page: pages.Paced) -> list[object]:
    return [(await page.answer(request)).body for _ in range(5)]


async def test_a_page_is_good_for_many_times_as_long_as_it_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make(_: Any, health: Any) -> Page:
        return Page(str(health).encode(), "text/plain", 503)

    monkeypatch.setattr(pages, "MAX_SHARE", 10**12)
    assert await bodies(Asked(), Paced(make)) == [b"1"] * 5
    monkeypatch.setattr(pages, "MAX_SHARE", 0)
    assert await bodies(Asked(), Paced(make)) == [b"1", b"2", b"3", b"4", b"5"]
    request: Any = Asked()
    answer = await Paced(make).answer(request)
    assert (answer.status, answer.headers["Content-Type"]) == (503, "text/plain")
