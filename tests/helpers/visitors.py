"""People who visit the page of a service without a browser, and the tokens that they bear."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import aiohttp
from msgspec import structs

from pipeline.config.monitor import MonitorSettings
from pipeline.config.types import Secret
from tests.helpers.services import HERE, PATIENCE, Visitor, until

READER, OPERATOR = "a-token-that-reads", "a-token-that-acts"


def guarded(folder: Path) -> MonitorSettings:
    (folder / "reader").write_text(READER)
    (folder / "operator").write_text(OPERATOR)
    return structs.replace(
        HERE,
        token=Secret(file=str(folder / "reader")),
        operator_token=Secret(file=str(folder / "operator")),
    )


class Person:
    """One with a browser's cookies, without a browser."""

    def __init__(self, visitor: Visitor, session: aiohttp.ClientSession) -> None:
        self.origin = f"http://127.0.0.1:{visitor.port}"
        self._session = session

    async def get(self, path: str, language: str = "en") -> tuple[int, str]:
        headers = {"Accept-Language": language}
        async with self._session.get(self.origin + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, origin: str | None = "", **fields: str) -> tuple[int, str]:
        """The status, and what the page says to which one is sent."""
        headers = {} if origin is None else {"Origin": origin or self.origin}
        async with self._session.post(
            self.origin + path, data=fields, headers=headers, allow_redirects=False
        ) as answer:
            status, place = answer.status, answer.headers.get("Location")
        if place is None:
            return status, ""
        page = (await self.get(place))[1]
        said = re.search(r'<p class="said.*?>(.*?)</p>', page)
        return status, unescape(said[1]) if said else ""

    async def csrf(self, path: str = "/") -> str:
        found = re.search(r'name="csrf" value="(\w+)"', (await self.get(path))[1])
        return found[1] if found else ""


@asynccontextmanager
async def person(visitor: Visitor) -> AsyncIterator[Person]:
    await until(lambda: visitor.service.monitor.addresses)
    jar, timeout = aiohttp.CookieJar(unsafe=True), aiohttp.ClientTimeout(PATIENCE)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as session:
        yield Person(visitor, session)
