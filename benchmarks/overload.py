"""An overloaded mailbox: it slows down or refuses when it is asked too much.

    python -m benchmarks.overload ROOT MOOD DOCUMENTS

Serves what `dataset` has rendered, and forgets what is acknowledged. Prints its address; what it
saw is at /behaviour. It is a process of its own, so that its load is not the client's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from benchmarks.dataset import LISTS
from benchmarks.mood import MOODS, Mood, Overload

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Lists:
    """The rendered lists, each without what has been acknowledged."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pending: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self._where: dict[str, tuple[str, str]] = {}
        for name in LISTS.values():
            for folder in sorted((root / "lists" / name).iterdir()):
                where = (name, folder.name)
                self._pending[where] = {str(one["id"]): one for one in _items(folder)}
                self._where |= dict.fromkeys(self._pending[where], where)
        self.acknowledged = 0

    def page(self, name: str, owner: str, size: int, number: int) -> bytes:
        """A page of a list, as JSON."""
        pending = list(self._pending.get((name, owner), {}).values())
        results = pending[number * size : (number + 1) * size]
        page = {"size": size, "total": len(pending), "page": number, "results": results}
        return msgspec.json.encode(page)

    def document(self, name: str, id_: str) -> bytes:
        """The bytes of a document."""
        return (self._root / "v4" / name / id_).read_bytes()

    def acknowledge(self, id_: str) -> None:
        """Take a document out of its list."""
        if self._pending[self._where[id_]].pop(id_, None) is not None:
            self.acknowledged += 1


def _items(folder: Path) -> Iterator[dict[str, Any]]:
    pages = [path for path in folder.iterdir() if not path.name.startswith("1-")]
    for path in sorted(pages, key=lambda path: int(path.stem.partition("-")[2])):
        yield from msgspec.json.decode(path.read_bytes())["results"]


def application(lists: Lists, overload: Overload, documents: int) -> web.Application:
    """The wire format, as far as it is asked for. documents: how many will be acknowledged."""

    def moody(handle: Callable[[web.Request], web.Response]) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            if not await overload.answered(lists.acknowledged / max(documents, 1)):
                return web.Response(status=429)
            return handle(request)

        return handler

    def page(request: web.Request) -> web.Response:
        asked = request.query
        body = lists.page(
            request.match_info["list"],
            asked["platform_id"],
            int(asked["size"]),
            int(asked["page"]),
        )
        return web.Response(body=body, content_type="application/json")

    def document(request: web.Request) -> web.Response:
        name, id_ = request.match_info["list"], request.match_info["id"]
        kind = "text/plain" if name == "bank-statements" else "application/xml"
        return web.Response(body=lists.document(name, id_), content_type=kind)

    def acknowledgement(request: web.Request) -> web.Response:
        lists.acknowledge(request.match_info["id"])
        return web.Response(status=204)

    async def token(_: web.Request) -> web.Response:
        return web.json_response(
            {"access_token": "benchmark", "expires_in": 86400, "token_type": "Bearer"}
        )

    async def behaviour(_: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(overload.behaviour()))

    app = web.Application()
    app.router.add_post("/auth/token", token)
    app.router.add_get("/behaviour", behaviour)
    app.router.add_get("/v4/{list}", moody(page))
    app.router.add_get("/v4/{list}/{id}", moody(document))
    app.router.add_put("/v4/{list}/{id}/accounting-status", moody(acknowledgement))
    return app


async def serve(root: Path, mood: Mood, documents: int) -> None:
    """Serve until the process is ended."""
    overload = Overload(mood)
    runner = web.AppRunner(application(Lists(root), overload, documents), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await overload.watch()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), MOODS[sys.argv[2]], int(sys.argv[3])))
