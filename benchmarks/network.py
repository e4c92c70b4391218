"""A ceiling: what one process fetches with the same library and nothing else.

    python -m benchmarks.network WHAT LIST CONNECTIONS

LIST is that of the scripts in peers/: address, file name, bytes and SHA-256 in each line.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import aiohttp
import anyio

#: What an overloaded server answers, and the seconds until the same is asked again.
TOO_MANY, LATER = 429, 0.5

Row = Sequence[str]
Use = Callable[[aiohttp.ClientSession, str, bytes], Awaitable[None]]


async def fetch(rows: Sequence[Row], connections: int, use: Use) -> None:
    """GET each, so many at once, and use its bytes."""
    left = iter(rows)
    connector = aiohttp.TCPConnector(limit=connections)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        anyio.create_task_group() as group,
    ):
        for _ in range(connections):
            group.start_soon(_work, session, left, use)


async def _work(session: aiohttp.ClientSession, left: Iterator[Row], use: Use) -> None:
    for url, _, size, _ in left:
        data = await _ask(session, "GET", url)
        if len(data) != int(size):
            raise SystemExit(f"{url}: {len(data)} of {size} bytes")
        await use(session, url, data)


async def _ask(session: aiohttp.ClientSession, method: str, url: str) -> bytes:
    while True:
        async with session.request(method, url) as response:
            if response.status != TOO_MANY:
                response.raise_for_status()
                return await response.read()
        await anyio.sleep(LATER)


async def _discard(_session: aiohttp.ClientSession, _url: str, data: bytes) -> None:
    del data


async def _hash(_session: aiohttp.ClientSession, _url: str, data: bytes) -> None:
    sha256(data).digest()


async def _acknowledge(session: aiohttp.ClientSession, url: str, _data: bytes) -> None:
    await _ask(session, "PUT", f"{url}/accounting-status")


WHAT: dict[str, Callable[[Sequence[Row], int], Awaitable[None]]] = {
    "get": partial(fetch, use=_discard),
    "get-sha256": partial(fetch, use=_hash),
    "get-put": partial(fetch, use=_acknowledge),
}

if __name__ == "__main__":
    listed = [line.split("\t") for line in Path(sys.argv[2]).read_text().splitlines()]
    anyio.run(WHAT[sys.argv[1]], listed, int(sys.argv[3]))
