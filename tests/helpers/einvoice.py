"""e-invoice.be on loopback: the sandbox with its requests counted, and one that a test controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import json

from pipeline.app.wiring import Config, load_config
from pipeline.source import Entry
from stages.sandbox import Faults, FaultSpec, Mailbox, Sandbox, serve_sandbox, write_config
from stages.sandbox.tokens import Tokens
from stages.sources.einvoice_be.sandbox import EInvoiceBeWire
from stages.sources.einvoice_be.source import EInvoiceBeSource
from tests.helpers.serving import serving

SHORT = "attempts = 2\nretry_wait = 0.01\nlongest_retry_wait = 0.05\n"


class CountedWire(EInvoiceBeWire):
    """Counts what is asked for: "list", "ubl", "file", "me" …, and keeps the headers of files."""

    def __init__(self, **options: float) -> None:
        super().__init__(**options)
        self.asked: Counter[str] = Counter()
        self.queries: list[Mapping[str, str]] = []
        self.file_headers: list[Mapping[str, str]] = []

    def authentication(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:
        inner: Any = super().authentication(tokens, mailbox)

        @web.middleware
        async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
            last = request.path.strip("/").split("/")[-1]
            what = "list" if last in ("inbox", "outbox") else last
            self.asked[what] += 1
            if what == "list":
                self.queries.append(dict(request.query))
            answer: web.StreamResponse = await inner(request, handler)
            return answer

        return counted

    def storage(self, mailbox: Mailbox) -> Sequence[web.RouteDef]:
        def counted(handler: Any) -> Any:
            async def answer(request: web.Request) -> web.StreamResponse:
                self.asked["file"] += 1
                self.file_headers.append(dict(request.headers))
                response: web.StreamResponse = await handler(request)
                return response

            return answer

        return [web.get(one.path, counted(one.handler)) for one in super().storage(mailbox)]


@asynccontextmanager
async def sandbox(
    folder: Path,
    mailbox: Mailbox,
    wire: EInvoiceBeWire | None = None,
    faults: Sequence[FaultSpec] = (),
    source: str = "",
) -> AsyncIterator[tuple[Sandbox, Config]]:
    """Serve a mailbox, with a configuration that works; source: more lines of its section."""
    wire = wire or EInvoiceBeWire()
    async with serve_sandbox(mailbox, platform=wire, faults=Faults(faults)) as served:
        path = folder / "synqup.toml"
        write_config(path, served, mailbox)
        kind = 'kind = "einvoice_be"\n'
        path.write_text(path.read_text("utf-8").replace(kind, kind + SHORT + source), "utf-8")
        yield served, load_config(path)


CONFIG = """
[service]
state_dir = "state"
[delivery]
purchases = "out/[enterprise_identifier]"
sales = "out/[enterprise_identifier]"
statements = "out/[enterprise_identifier]"
[[sources]]
name = "peppol"
kind = "einvoice_be"
url = "URL"
SETTINGS
[[sources.keys]]
name = "One"
identifier = "BE0403170701"
secret = { file = "one" }
MORE
[[companies]]
name = "One"
identifier = "BE0403170701"
source = "peppol"
"""
SECOND_KEY = """
[[sources.keys]]
name = "Two"
identifier = "BE0712345630"
secret = { file = "two" }
"""
SECOND_COMPANY = """
[[companies]]
name = "Two"
identifier = "BE0712345630"
source = "peppol"
"""

Answer = Callable[[web.Request], Any]


class Platform:
    """Answers as told. boxes: items by key and box, oldest first. url, storage: its two hosts."""

    def __init__(self) -> None:
        self.boxes: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        self.refused: set[str] = set()
        self.asked: list[web.Request] = []
        self.stored: list[web.Request] = []
        self.url = self.storage = ""
        self.page: Callable[[web.Request, list[Any]], Any] = self.usual_page
        self.ubl: Callable[[web.Request], Any] = self.usual_ubl
        self.attachments: Callable[[web.Request], Any] = lambda _: []
        self.me: Callable[[str], Any] = lambda key: {"name": key}
        self.file: Callable[[web.Request], web.Response] = lambda _: web.Response(body=b"<bytes/>")

    def usual_page(self, request: web.Request, items: list[Any]) -> Any:
        page, size = int(request.query["page"]), int(request.query["page_size"])
        pages = -(-len(items) // size)
        return {
            "items": items[(page - 1) * size : page * size],
            "total": len(items),
            "page": page,
            "page_size": size,
            "pages": pages,
            "has_next_page": page < pages,
        }

    def usual_ubl(self, request: web.Request) -> Any:
        return {"id": "x", "file_name": "x.xml", "signed_url": f"{self.storage}/x?signature=a%2Fb"}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        key = request.headers["Authorization"].removeprefix("Bearer ")
        if key in self.refused:
            return web.json_response({"detail": "Invalid API key"}, status=401)
        last = request.path.rstrip("/").rpartition("/")[2]
        if last in ("inbox", "outbox"):
            said = self.page(request, self.boxes.get((key, last), []))
        elif last == "me":
            said = self.me(key)
        else:
            said = self.ubl(request) if last == "ubl" else self.attachments(request)
        return said if isinstance(said, web.StreamResponse) else web.json_response(said)

    async def store(self, request: web.Request) -> web.StreamResponse:
        self.stored.append(request)
        return self.file(request)


@asynccontextmanager
async def platform() -> AsyncIterator[Platform]:
    one = Platform()
    async with serving(one.handle) as url, serving(one.store) as storage:
        one.url, one.storage = str(url.origin()), str(storage.origin())
        yield one


def configure(
    folder: Path, one: Platform, more: str = "", two: bool = False, **settings: object
) -> Config:
    """A configuration for a platform. more: at its end. two: with a second company."""
    (folder / "one").write_text("key-1")
    (folder / "two").write_text("key-2")
    settings = {"attempts": 1, "retry_wait": 0.01} | settings
    lines = "\n".join(f"{key} = {json.encode(value).decode()}" for key, value in settings.items())
    text = CONFIG.replace("URL", one.url).replace("SETTINGS", lines)
    text = text.replace("MORE", SECOND_KEY if two else "") + (SECOND_COMPANY if two else "") + more
    (folder / "synqup.toml").write_text(text)
    return load_config(folder / "synqup.toml")


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[EInvoiceBeSource]:
    settings: Any = config.sources[0]
    source = EInvoiceBeSource(settings, config.service.state_dir)
    try:
        yield source
    finally:
        await source.close()


async def entries(source: EInvoiceBeSource, config: Config) -> list[Entry]:
    """All that one walk yields, before whatever it raises is raised."""
    return [entry async for page in source.list(config) for entry in page]


def document(number: int, **more: Any) -> Mapping[str, Any]:
    """An item of a list, one for each minute."""
    day, minute = divmod(number, 1440)
    at = f"2026-03-{1 + day % 28:02}T{minute // 60:02}:{minute % 60:02}:00Z"
    return {"id": f"doc_{number}", "created_at": at, **more}
