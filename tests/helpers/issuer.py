"""An OAuth issuer on loopback, and clients of its tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from aiohttp import web

from pipeline.config.types import Secret
from stages.sources.http.client import HttpClient
from stages.sources.http.oauth import SignIn
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.settings import Timeouts
from stages.sources.http.token import TokenCache


class Issuer:
    """A token endpoint: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.answer: dict[str, Any] | str = {"expires_in": 300}
        self.status = 200
        self.delay = 0.0
        self.rotates = False
        self.url = ""
        self.asked: Callable[[], object] = lambda: None
        #: Answers that get lost, and the status from then on.
        self.cuts = 0
        self.status_after_cuts = 200
        #: Refresh tokens that are not taken.
        self.refused: set[str] = set()

    async def handle(self, request: web.Request) -> web.Response:
        self.forms.append({key: str(value) for key, value in (await request.post()).items()})
        self.asked()
        await anyio.sleep(self.delay)
        if self.cuts:
            self.cuts -= 1
            self.status = self.status_after_cuts
            assert request.transport is not None
            request.transport.abort()
        if self.forms[-1].get("refresh_token") in self.refused:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        granted = {"access_token": f"t{len(self.forms)}", **self.answer}
        if self.rotates:
            granted["refresh_token"] = f"r{len(self.forms)}"
        return web.json_response(granted, status=self.status)


@asynccontextmanager
async def issuer() -> AsyncIterator[Issuer]:
    one = Issuer()
    app = web.Application()
    app.router.add_post("/token", one.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        yield one
    finally:
        await runner.cleanup()


@asynccontextmanager
async def token(
    folder: Path,
    one: Issuer,
    refresh_token: Secret | None = None,
    *,
    by_browser: bool = False,
) -> AsyncIterator[TokenCache]:
    (folder / "secret").write_text("s3cret-one")
    if not (folder / "refresh").exists():
        (folder / "refresh").write_text("r0")
    client = OAuthClient(
        one.url,
        "us",
        Secret(file=str(folder / "secret")),
        "openid",
        refresh_token,
        one.url if by_browser else "",
    )
    http = HttpClient("box", connections=60, timeouts=Timeouts(5, 5, 5))
    sign_in = SignIn("box", client, http, folder / "kept" / "box")
    try:
        yield TokenCache(sign_in.grant)
    finally:
        await sign_in.close()
        await http.close()


def sign_in_of(one: TokenCache) -> SignIn:
    """The sign-in that brings the tokens of a cache."""
    found: Any = one._grant
    assert isinstance(found.__self__, SignIn)
    return found.__self__


async def many(one: TokenCache, count: int = 50) -> list[str]:
    got: list[str] = []

    async def get() -> None:
        got.append(await one.get())

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(get)
    return got


async def asked(one: Issuer) -> None:
    """Wait until it has been asked for a token."""
    with anyio.fail_after(60):
        while not one.forms:
            await anyio.sleep(0.005)
