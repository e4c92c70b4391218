"""A platform with an inbox on loopback: its sandbox, each of whose answers a test may replace."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pipeline.app.wiring import Config, load_config
from pipeline.errors import SynqupError
from pipeline.source import Entry, Source
from stages.sandbox import Faults, FaultSpec, Mailbox, Sandbox, serve_sandbox, write_config
from stages.sandbox.tokens import Tokens
from stages.sources.http.inbox.sandbox import InboxWire, content
from stages.sources.registry import CONNECTORS, open_source, platform_of

#: The kinds of such platforms.
KINDS = ("recommand", "scrada", "peppyrus")
SHORT = "attempts = 2\nretry_wait = 0.01\nlongest_retry_wait = 0.05\n"

#: The last parts of the paths that tell of companies.
COMPANIES = ("companies", "info", "peppol")
#: How a document is sent.
AS_SENT: Mapping[str, Callable[[bytes], web.StreamResponse]] = {
    "recommand": lambda body: web.json_response({"document": {"xml": body.decode()}}),
    "peppyrus": lambda body: web.json_response({"fileContent": b64encode(body).decode()}),
    "scrada": lambda body: web.Response(body=body, content_type="application/xml"),
}

Answer = Callable[[web.Request], web.StreamResponse]


class Inbox:
    """A platform. asked: what it was, as "METHOD path"; instead: answers by the begin of that."""

    def __init__(self, kind: str, mailbox: Mailbox, chosen: Mapping[str, str]) -> None:
        self.kind = kind
        self.mailbox = mailbox
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.instead: dict[str, Answer] = {}
        self._replaced: dict[str, Answer] = {}
        self.sandbox: Sandbox
        self.folder: Path
        (connector,) = (one for one in CONNECTORS if one.kind == kind)
        wire = platform_of(connector)
        assert isinstance(wire, InboxWire)
        self.wire = wire
        wire.choose(chosen)
        self._inner: Any = wire.authentication
        wire.authentication = self._counted  # type: ignore[method-assign]

    def config(self, *edits: tuple[str, str]) -> Config:
        """The configuration, with texts replaced in it."""
        path = self.folder / "synqup.toml"
        text = path.read_text("utf-8")
        for old, new in edits:
            assert old in text, text
            text = text.replace(old, new)
        path.write_text(text, "utf-8")
        return load_config(path)

    def said(self, part: str) -> list[str]:
        """The requests that hold a text."""
        return [one for one in self.asked if part in one]

    def held(self) -> Counter[str]:
        """What is to be delivered, by SHA-256."""
        holds = self.wire.holds
        return Counter(sha256(content(one)).hexdigest() for one in self.mailbox if holds(one))

    def is_list(self, asked: str) -> bool:
        """Whether a request was for a list, or for what is known of companies."""
        last = asked.partition("?")[0].rpartition("/")[2]
        return asked.startswith("GET") and last in (*self.wire.lists, *COMPANIES)

    def at(self, id_: str, answer: Answer) -> None:
        """Have it answer so to a request for a document."""
        self._replaced[f"/{id_}"] = answer

    def replace(self, id_: str, body: bytes) -> None:
        """Have it give other bytes as a document."""
        self.at(id_, lambda _: AS_SENT[self.kind](body))

    def _counted(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:
        inner: Any = self._inner(tokens, mailbox)

        @web.middleware
        async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
            line = f"{request.method} {request.path_qs.removeprefix(self.wire.base_path)}"
            self.asked.append(line)
            self.headers.append(dict(request.headers))
            for begin, instead in self.instead.items():
                if line.startswith(begin):
                    return instead(request)
            for end, instead in self._replaced.items():
                if request.method == "GET" and request.path.endswith(end):
                    return instead(request)
            answer: web.StreamResponse = await inner(request, handler)
            return answer

        return counted


@asynccontextmanager
async def inbox(
    folder: Path,
    kind: str,
    mailbox: Mailbox | None = None,
    faults: Sequence[FaultSpec] = (),
    source: str = "",
    **chosen: object,
) -> AsyncIterator[Inbox]:
    """Serve a mailbox, with a configuration. source: more lines of its section."""
    mailbox = Mailbox(30, 2, seed=5) if mailbox is None else mailbox
    it = Inbox(kind, mailbox, {name: str(value) for name, value in chosen.items()})
    it.folder = folder
    async with serve_sandbox(it.mailbox, platform=it.wire, faults=Faults(faults)) as it.sandbox:
        write_config(folder / "synqup.toml", it.sandbox, it.mailbox)
        line = f'kind = "{kind}"\n'
        it.config((line, line + SHORT + source))
        yield it


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Source]:
    source = open_source(config.sources[0], config.service.state_dir)
    try:
        yield source
    finally:
        await source.close()


async def entries(source: Source, config: Config) -> list[Entry]:
    return [entry async for page in source.list(config) for entry in page]


async def entries_and_failure(
    source: Source, config: Config
) -> tuple[list[Entry], SynqupError | None]:
    """All that one walk yields, and what it raises in the end."""
    found: list[Entry] = []
    try:
        async for page in source.list(config):
            found += page
    except SynqupError as error:
        return found, error
    return found, None


async def read(source: Source, entry: Entry, form: str = "") -> bytes:
    async with source.fetch(entry, form) as incoming:
        return b"".join([chunk async for chunk in incoming.chunks])
