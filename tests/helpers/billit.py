"""A Billit on loopback whose every answer a test controls, and its source."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec import json

from pipeline.app.wiring import Config, load_config
from pipeline.source import Entry
from stages.sources.billit.source import BillitSource
from tests.helpers.serving import serving

CONFIG = """
[service]
state_dir = "state"
[delivery]
purchases = "out/[enterprise_identifier]"
sales = "out/[enterprise_identifier]"
statements = "out/[enterprise_identifier]"
[[sources]]
name = "billit"
kind = "billit"
url = "URL/v1"
api_key = { file = "key" }
SETTINGS
"""
COMPANY = """
[[companies]]
name = "NAME"
identifier = "NUMBER"
source = "billit"
PARTY
"""
#: Numbers of companies, by which tests tell them apart.
ONE, TWO, THREE = "BE0403170701", "BE0428759497", "BE0898765475"

Answer = Callable[[web.Request], Awaitable[web.Response] | web.Response]


class Billit:
    """Answers as told, and notes what it was asked: method, path with its query, headers."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.inbox: list[dict[str, Any]] = []
        self.feed: list[dict[str, Any]] = []
        self.feeds = ["f"]
        self.files: dict[str, Any] = {}
        self.companies: list[dict[str, Any]] = []
        #: What is answered in place of that, by the beginning of "METHOD path".
        self.instead: dict[str, Answer] = {}
        self.confirmed: list[str] = []

    def said(self, part: str) -> list[tuple[str, str, dict[str, str]]]:
        """The requests whose method and path hold a text."""
        return [one for one in self.asked if part in f"{one[0]} {one[1]}"]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.removeprefix("/v1/")
        self.asked.append((request.method, path, dict(request.headers)))
        line = f"{request.method} {path}"
        for begin, instead in self.instead.items():
            if line.startswith(begin):
                found = instead(request)
                return found if isinstance(found, web.StreamResponse) else await found
        return self._usual(line.partition("?")[0], path)

    def _usual(self, line: str, path: str) -> web.Response:
        *_, before, last = path.partition("?")[0].split("/")
        if last == "confirm":
            self.confirmed.append(before)
            return web.Response()
        lists: dict[str, object] = {
            "GET account/accountInformation": {"Companies": self.companies},
            "GET peppol/inbox": {"InboxItems": self._left(self.inbox, "InboxItemID")[:10]},
            "GET accountant/feeds": [{"Name": name} for name in self.feeds],
        }
        for name in self.feeds:
            lists[f"GET accountant/feeds/{name}"] = self._left(self.feed, "FeedItemID")
        return web.json_response(lists[line]) if line in lists else self._file(last)

    def _left(self, items: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
        return [one for one in items if str(one.get(key)) not in self.confirmed]

    def _file(self, name: str) -> web.Response:
        if name not in self.files:
            return web.Response(status=404)
        found = self.files[name]
        if isinstance(found, bytes):
            found = {"FileName": "x.xml", "FileContent": b64encode(found).decode()}
        return web.json_response(found)


@asynccontextmanager
async def billit() -> AsyncIterator[Billit]:
    one = Billit()
    async with serving(one.answer) as url:
        one.url = str(url.origin())
        yield one


def configure(
    folder: Path, one: Billit, companies: dict[str, str | None] | None = None, **settings: object
) -> Config:
    """companies: PartyID by number, None for a company without one."""
    (folder / "key").write_text("s3cret")
    chosen = {"attempts": 1, "retry_wait": 0.01, "list_pause": 0, "door": "inbox"} | settings
    if chosen["door"] == "feeds":
        chosen = {"feed": "f"} | chosen
    lines = "\n".join(f"{key} = {json.encode(value).decode()}" for key, value in chosen.items())
    text = CONFIG.replace("URL", one.url).replace("SETTINGS", lines)
    for number, party in ({ONE: "11"} if companies is None else companies).items():
        said = "" if party is None else f'platform_id = "{party}"'
        section = COMPANY.replace("NAME", number).replace("NUMBER", number)
        text += section.replace("PARTY", said)
    (folder / "synqup.toml").write_text(text)
    return load_config(folder / "synqup.toml")


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[BillitSource]:
    source = BillitSource(config.sources[0], config.service.state_dir)  # type: ignore[arg-type]
    try:
        yield source
    finally:
        await source.close()


async def entries(source: BillitSource, config: Config) -> list[Entry]:
    return [entry async for page in source.list(config) for entry in page]


def inbox_item(number: int, receiver: str | None = ONE, **more: object) -> dict[str, Any]:
    return {
        "InboxItemID": number,
        "SenderCompanyID": "BE0712345630",
        "ReceiverCompanyID": receiver,
        "PeppolDocumentType": "urn:oasis:…::Invoice##…::2.1",
        "CreationDate": "2026-03-02T09:30:32.4418207",
        "PeppolFileID": f"file-{number}",
        **more,
    }


def feed_item(number: int, party: object = 11, type_: str = "Order") -> dict[str, Any]:
    return {"FeedItemID": number, "EntityID": 1, "EntityType": type_, "PartyID": party}
