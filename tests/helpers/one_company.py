"""A platform that hangs for some companies alone, whatever it is asked of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import anyio
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from stages.sandbox import Faults, Mailbox, Served
from stages.sandbox.companies import Company
from stages.sandbox.corpus import Document
from stages.sandbox.platform import SecretText, Value
from stages.sandbox.tokens import Tokens
from stages.sandbox.wire import Wire


class HangsFor(Faults):
    """Answers nothing that is asked of the first companies of a mailbox.

    kinds: of requests that hang ("list", "document", "acknowledgement"). companies: how many. only:
    the ids of the documents that it concerns; empty for all. seconds: after which it answers.
    most: requests that it has had at once.
    """

    def __init__(
        self,
        kinds: Collection[str],
        companies: int = 1,
        *,
        only: Collection[str] = (),
        seconds: float = 1e6,
    ) -> None:
        super().__init__()
        self.kinds = kinds
        self.count = companies
        self.only = only
        self.seconds = seconds
        self.hit = self.at_once = self.most = 0
        self._secrets: dict[str, str] = {}
        self._ended = anyio.Event()

    def know(self, served: Served) -> None:
        """Learn by which secrets the companies are told apart."""
        keys = served.sandbox.platform.section(served.sandbox, served.mailbox).get("keys", ())
        assert isinstance(keys, list | tuple)
        for key in keys:
            assert isinstance(key, Mapping)
            secret: Value = key["secret"]
            assert isinstance(secret, SecretText)
            self._secrets[secret.text] = str(key["identifier"])

    def release(self) -> None:
        """Answer everything from now on."""
        self.seconds = 0.0
        self._ended.set()

    def middleware(self, tokens: Tokens, mailbox: Mailbox, wire: Wire) -> Middleware:
        @web.middleware
        async def inject(request: web.Request, handler: Handler) -> web.StreamResponse:
            is_asked = wire.target(request) != "token"
            self.at_once += is_asked
            self.most = max(self.most, self.at_once)
            try:
                if self._hangs(request, mailbox, wire):
                    self.hit += 1
                    with anyio.move_on_after(self.seconds):
                        await self._ended.wait()
                return await handler(request)
            finally:
                self.at_once -= is_asked

        return inject

    def _hangs(self, request: web.Request, mailbox: Mailbox, wire: Wire) -> bool:
        kind = wire.target(request)
        if kind not in self.kinds:
            return False
        document = next((one for one in _documents(request, mailbox)), None)
        if kind != "list" and document is not None:
            if self.only:
                return document.id in self.only
            return document.company in mailbox.companies[: self.count]
        return self._is_of_one(request, mailbox.companies[: self.count])

    def _is_of_one(self, request: web.Request, companies: Collection[Company]) -> bool:
        identifiers = {one.identifier for one in companies}
        ids = {one.platform_id for one in companies}
        said = {*request.query.values(), *request.headers.values(), *request.path.split("/")}
        said |= {one.partition(" ")[2] for one in request.headers.values()}
        return bool(ids & said) or any(self._secrets.get(one) in identifiers for one in said)


def _documents(request: web.Request, mailbox: Mailbox) -> Iterator[Document]:
    for part in request.path.split("/"):
        for name in (part, part.partition(".")[0], *re.findall(r"[0-9a-f-]{8,}", part)):
            if (found := mailbox.find(name)) is not None:
                yield found


def with_settings(path: Path, kind: str, **settings: object) -> None:
    """Add settings to the source of a kind."""
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    text = path.read_text("utf-8")
    path.write_text(text.replace(f'kind = "{kind}"\n', f'kind = "{kind}"\n{lines}'), "utf-8")
