"""The nodes of a cluster on the page, in a real browser: live, in three languages, accessible."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

import psycopg

from pipeline.health import whole
from pipeline.monitor.page import live, overview
from tests.helpers.browser import browsing, overflow, tab, violations
from tests.helpers.served_page import signed_in
from tests.helpers.services import until, watched
from tests.helpers.trial import trial
from tests.helpers.two_nodes import node, node_of

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

#: A node that died a minute ago, with a document that lies ready.
SILENT = """
INSERT INTO cluster_nodes (node, instance, backend, host, version, heartbeat)
    VALUES ('n9', 'x', 0, 'srv9.example.be', '1.0', now() - interval '1 min');
INSERT INTO documents (source, id, revision, label, state, node, seen_at, changed_at)
    VALUES ('none', '1', '', 'l', 'staged', 'n9', 0, 0)
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    async with browsing() as one:
        yield one


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "INTERVAL", 0.1)
    monkeypatch.setattr(live, "MAX_SHARE", 1)
    monkeypatch.setattr(overview, "SHARED_AGE", 0.1)
    monkeypatch.setattr(whole, "VIEW_AGE", 0.1)


async def test_a_node_comes_and_one_falls_silent_before_ones_eyes(
    tmp_path: Path, postgres: str, browser: Any
) -> None:
    async with trial(tmp_path, documents=12, companies=5) as it:
        config = watched(it.config(), interval=2)
        async with node(node_of(config, tmp_path, postgres, "n1")) as visitor:
            await until(lambda: visitor.service.monitor.addresses)
            await until(lambda: it.delivered() == it.held())
            url = f"http://127.0.0.1:{visitor.port}"
            async with tab(browser, url) as page:
                await signed_in(visitor, page)
                nodes = page.locator("#nodes")
                await nodes.get_by_text("this page").wait_for()
                await page.locator("#flow").get_by_text("12 documents").wait_for()
                assert await nodes.locator("li").count() == 1
                async with node(node_of(config, tmp_path, postgres, "n2")):
                    await nodes.get_by_text("n2").wait_for()
                    # What the other one may deliver is counted here.
                    it.mailbox.grow(6)
                    await page.locator("#flow").get_by_text("18 documents").wait_for()
                with psycopg.connect(postgres, autocommit=True) as connection:
                    for statement in SILENT.split(";"):
                        connection.execute(statement.encode())
                await page.locator("#attention").get_by_text("Node n9 is silent").wait_for()
                await nodes.get_by_text("the others take over its work").wait_for()
                assert "n9" in await nodes.locator("li").first.inner_text()

            async def looked_at(scheme: str, locale: str, width: int, words: str) -> None:
                size = {"width": width, "height": 800}
                async with tab(browser, url, locale, color_scheme=scheme, viewport=size) as page:
                    await signed_in(visitor, page)
                    await page.locator("#nodes").get_by_text(words).wait_for()
                    assert not await overflow(page), width
                    assert not await violations(page), scheme

            async with anyio.create_task_group() as group:
                group.start_soon(looked_at, "light", "fr-BE", 360, "les autres reprennent")
                group.start_soon(looked_at, "dark", "nl-BE", 1500, "de andere nemen het werk over")
                group.start_soon(looked_at, "light", "en-GB", 800, "the others take over its work")
