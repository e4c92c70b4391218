"""A Billtobox platform on loopback whose lists and answers a test controls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec import json

from pipeline.app.wiring import Config, load_config
from pipeline.source import Entry
from stages.sources.billtobox.source import BilltoboxSource
from tests.helpers.serving import serving

CONFIG = """
[service]
state_dir = "state"
[delivery]
purchases = "out/[enterprise_identifier]"
sales = "out/[enterprise_identifier]"
statements = "out/[enterprise_identifier]"
[[sources]]
name = "box"
kind = "billtobox"
url = "URL/v4"
token_url = "URL/token"
client_id = "us"
client_secret = { file = "secret" }
SETTINGS
[[companies]]
name = "One"
identifier = "BE0403170701"
source = "box"
"""


class Platform:
    """Answers lists as told, and notes what it was asked."""

    def __init__(self) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[web.Request] = []
        self.told: list[tuple[str, str, bytes]] = []
        self.total: Callable[[int], int | None] = lambda count: count
        self.status = 204
        self.token = "t"
        self.tokens = 0
        self.refusing = False
        self.knows_pages = True
        self.says_whose = True
        self.knows_size = True
        self.says_size: int | None = None
        self.answer: Callable[[web.Request], Awaitable[web.Response]] = self.handle
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.tokens += 1
            return web.json_response({"access_token": self.token, "expires_in": 300})
        self.asked.append(request)
        if self.refusing or request.headers["Authorization"] != f"Bearer {self.token}":
            return web.Response(status=401)
        if request.method == "PUT":
            self.told.append((request.method, request.path, await request.read()))
            return web.Response(status=self.status)
        name = request.path.removeprefix("/v4/")
        if "/" in name:
            return web.Response(body=b"bytes", headers={"X-Accept": request.headers["Accept"]})
        items = self.lists.get(name, [])
        if "platform_id" in request.query:
            items = [i for i in items if i.get("platform_id") == request.query["platform_id"]]
        if not self.says_whose:
            items = [{"id": i["id"]} for i in items]
        size, page = int(request.query["size"]), int(request.query["page"]) * self.knows_pages
        if not self.knows_size:
            size = len(items) or 1
        answer: dict[str, Any] = {"results": items[page * size : page * size + size]}
        if (total := self.total(len(items))) is not None:
            answer["total"] = total
        if self.says_size is not None:
            answer["size"] = self.says_size
        return web.json_response(answer)


@asynccontextmanager
async def platform() -> AsyncIterator[Platform]:
    one = Platform()

    async def answer(request: web.Request) -> web.Response:
        return await one.answer(request)

    async with serving(answer) as url:
        one.url = str(url.origin())
        yield one


def configure(folder: Path, one: Platform, companies: str = "", **settings_: object) -> Config:
    (folder / "secret").write_text("s3cret")
    settings_ = {"attempts": 1} | settings_
    lines = "\n".join(f"{key} = {json.encode(value).decode()}" for key, value in settings_.items())
    text = CONFIG.replace("URL", one.url).replace("SETTINGS", lines) + companies
    (folder / "synqup.toml").write_text(text)
    return load_config(folder / "synqup.toml")


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[BilltoboxSource]:
    source = BilltoboxSource(config.sources[0], config.service.state_dir)
    try:
        yield source
    finally:
        await source.close()


async def entries(source: BilltoboxSource, config: Config) -> list[Entry]:
    return [entry async for page in source.list(config) for entry in page]


def purchases(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "purchase_invoice_number": f"F{number}"} for number in range(count)]
