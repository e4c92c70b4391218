"""A ceiling: what one process fetches with the same library and nothing else.

    python -m benchmarks.network WHAT LIST [TOKEN]

LIST is that of the scripts in peers/: address, file name, bytes and SHA-256 in each line.
The token is sent as a bearer's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import aiohttp
import anyio

#: Requests at once, as the product has them.
CONNECTIONS = 16
#: What a mailbox is asked for: invoices, and statements.
ACCEPT = "application/xml, text/plain"

Row = Sequence[str]


def fetch(rows: Sequence[Row], token: str, use: Callable[[bytes], object]) -> None:
    """GET each, and use its bytes."""
    anyio.run(_fetch, rows, token, use)


async def _fetch(rows: Sequence[Row], token: str, use: Callable[[bytes], object]) -> None:
    left = iter(rows)

    async def work(session: aiohttp.ClientSession) -> None:
        for url, _, size, _ in left:
            async with session.get(url) as response:
                response.raise_for_status()
                data = await response.read()
                if len(data) != int(size):
                    raise SystemExit(f"{url}: {len(data)} of {size} bytes")
                use(data)

    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    headers = {"Authorization": f"Bearer {token}", "Accept": ACCEPT} if token else {}
    async with (
        aiohttp.ClientSession(connector=connector, headers=headers) as session,
        anyio.create_task_group() as group,
    ):
        for _ in range(CONNECTIONS):
            group.start_soon(work, session)


WHAT: dict[str, Callable[[Sequence[Row], str], None]] = {
    "get": partial(fetch, use=len),
    "get-sha256": partial(fetch, use=lambda data: sha256(data).digest()),
}

if __name__ == "__main__":
    listed = [line.split("\t") for line in Path(sys.argv[2]).read_text().splitlines()]
    WHAT[sys.argv[1]](listed, sys.argv[3] if len(sys.argv) > 3 else "")
