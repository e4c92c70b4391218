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

    async def handle(self, request: web.Request) -> web.Response:
        self.forms.append({key: str(value) for key, value in (await request.post()).items()})
        self.asked()
        await anyio.sleep(self.delay)
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
    folder: Path, one: Issuer, refresh_token: Secret | None = None
) -> AsyncIterator[TokenCache]:
    (folder / "secret").write_text("s3cret-one")
    if not (folder / "refresh").exists():
        (folder / "refresh").write_text("r0")
    client = OAuthClient(
        one.url, "us", Secret(file=str(folder / "secret")), "openid", refresh_token
    )
    http = HttpClient("box", connections=60, timeouts=Timeouts(5, 5, 5))
    sign_in = SignIn("box", client, http, folder / "kept" / "box")
    try:
        yield TokenCache(sign_in.grant)
    finally:
        await sign_in.close()
        await http.close()


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
