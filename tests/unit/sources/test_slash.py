"""A GET follows a redirect to its own address with a slash, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from pipeline.errors import SourceError
from pipeline.retry import RetryPolicy
from stages.sources.http.auth import StaticAuth
from stages.sources.http.client import HttpClient
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.session import ApiSession
from stages.sources.http.settings import Timeouts
from stages.sources.http.slash import SlashGet
from tests.helpers.serving import serving

pytestmark = pytest.mark.anyio


async def secret() -> dict[str, str]:
    return {"Authorization": "Basic c2VjcmV0"}


@asynccontextmanager
async def client() -> AsyncIterator[ApiSession]:
    http = HttpClient("one", connections=2, timeouts=Timeouts(10, 30, 30))
    try:
        limiter = ConcurrencyLimiter(2, RetryPolicy())
        yield ApiSession("one", http, StaticAuth(secret), limiter)
    finally:
        await http.close()


async def fetched(session: ApiSession, url: URL) -> bytes:
    async with SlashGet(session, url, subject="it", headers={"Accept": "*/*"}) as answer:
        return await answer.read()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("whole", [False, True], ids=["a path", "an address"])
async def test_the_slash_is_followed(status: int, whole: bool) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"]
        if request.path.endswith("/"):
            return web.Response(body=b"it")
        target = str(request.url.with_path(f"{request.path}/")) if whole else f"{request.path}/"
        return web.Response(status=status, headers={"Location": target})

    async with serving(answer) as url, client() as session:
        assert await fetched(session, url / "v2" / "feed") == b"it"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:9/v2/feed/",
        "//127.0.0.2:9/v2/feed/",
        "https://127.0.0.1/v2/feed/",
        "/v2/feed",
        "/v2/other/",
        "/v2/feed/../../x/",
        "/v2/feed/?a=1",
        "http://[bad/",
        None,
    ],
)
async def test_nothing_else_is_followed(target: str | None) -> None:
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": target} if target else {})

    async with serving(answer) as url, client() as session:
        with pytest.raises(SourceError, match="redirects"):
            await fetched(session, url / "v2" / "feed")
    assert asked == ["/v2/feed"]


async def test_a_slash_is_followed_once() -> None:
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=301, headers={"Location": f"{request.path}/"})

    async with serving(answer) as url, client() as session:
        with pytest.raises(SourceError, match="redirects"):
            await fetched(session, url / "feed")
    assert asked == ["/feed", "/feed/"]
