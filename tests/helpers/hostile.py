"""A server that stands before a sandbox and answers some requests as no server ought to.

It writes bytes to a socket: what a library of HTTP would never send.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import anyio
from msgspec import Struct
from yarl import URL

from tests.helpers.trial import Trial, trial


class Asked(Struct):
    """A request, what it is about, and what the sandbox answers to it."""

    about: str
    path: str
    head: bytes
    status: int
    body: bytes
    kind: str


Writer = asyncio.StreamWriter
#: Answers a request in its own way; the connection ends with it.
Act = Callable[[Writer, Asked], Awaitable[None]]


class Front:
    """Passes requests on, but for those about `on`, of which it spoils those that `meets` names."""

    def __init__(self, act: Act, on: str, meets: Callable[[Asked], bool]) -> None:
        self.act: Act | None = act
        self.on = on
        self.meets = meets
        self.struck = 0
        self.asked: list[Asked] = []

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError, aiohttp.ClientError):
                async with aiohttp.ClientSession(auto_decompress=False) as session:
                    while await self.answer(reader, writer, session):
                        pass
        finally:
            writer.close()

    async def answer(
        self, reader: asyncio.StreamReader, writer: Writer, session: aiohttp.ClientSession
    ) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        data = await reader.readexactly(int(headers.get("Content-Length", 0)))
        passed = {k: v for k, v in headers.items() if k not in ("Host", "Content-Length")}
        url = URL(f"{self.behind}{path}", encoded=True)
        async with session.request(method, url, headers=passed, data=data) as real:
            body = await real.read()
            asked = Asked(about(method, path), path, head, real.status, body, real.content_type)
            said = {k: v for k, v in real.headers.items() if k not in HOP}
        self.asked.append(asked)
        if self.act is not None and asked.about == self.on and self.meets(asked):
            self.struck += 1
            await self.act(writer, asked)
            with suppress(ConnectionError):
                await writer.drain()
            return False
        writer.write(response(real.status, said, body))
        await writer.drain()
        return True

    behind = ""


HOP = ("Content-Length", "Transfer-Encoding", "Connection", "Date", "Server")


def about(method: str, path: str) -> str:
    parts = path.partition("?")[0].strip("/").split("/")
    if method == "PUT":
        return "acknowledgement"
    return "token" if method == "POST" else "list" if len(parts) == 2 else "document"


def response(status: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    # Nobody is to try another request on a connection that is about to end.
    closing = () if status.startswith(b"1") else (b"Connection: close",)
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, *closing, b"", b""])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def says(*lines: bytes, status: bytes = b"200 OK", body: bytes | None = None) -> Act:
    """The real body, or another one, under a head with these lines and the right length."""

    async def act(writer: Writer, asked: Asked) -> None:
        data = asked.body if body is None else body
        writer.write(head(*lines, b"Content-Length: %d" % len(data), status=status) + data)

    return act


def turned(turn: Callable[[bytes], bytes], *lines: bytes, status: bytes = b"200 OK") -> Act:
    """The real body after a change, with its framing intact."""

    async def act(writer: Writer, asked: Asked) -> None:
        data = turn(asked.body)
        writer.write(head(*lines, b"Content-Length: %d" % len(data), status=status) + data)

    return act


def chunked(turn: Callable[[bytes], bytes], *lines: bytes) -> Act:
    """As turned(), in chunks of three bytes."""

    async def act(writer: Writer, asked: Asked) -> None:
        data = turn(asked.body)
        pieces = [chunk(data[start : start + 3]) for start in range(0, len(data), 3)]
        writer.write(head(*lines, b"Transfer-Encoding: chunked") + b"".join([*pieces, chunk(b"")]))

    return act


def dripping(first: Callable[[bytes], bytes], drop: bytes, pause: float = 0.02) -> Act:
    """Begin an answer, and go on with the same few bytes for ever."""

    async def act(writer: Writer, asked: Asked) -> None:
        writer.write(first(asked.body))
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await anyio.sleep(pause)

    return act


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def cut_gzip(data: bytes) -> bytes:
    """A gzip of the first half of something, which ends between two blocks and has no end."""
    packed = gzip.compress(data)
    return packed[: len(packed) - 9]


@asynccontextmanager
async def hostile(
    folder: Path,
    act: Act,
    on: str = "document",
    meets: Callable[[Asked], bool] = lambda _: True,
    documents: int = 6,
    tls: Path | None = None,
) -> AsyncIterator[tuple[Trial, Front]]:
    """A trial whose every request goes by a server that spoils some."""
    front = Front(act, on, meets)
    async with trial(folder, documents=documents) as it:
        front.behind = str(URL(it.sandbox.url).origin())
        server = await asyncio.start_server(front.serve, "127.0.0.1", 0, limit=2**20)
        port = server.sockets[0].getsockname()[1]
        text = it.path.read_text("utf-8")
        it.path.write_text(text.replace(front.behind, f"http://127.0.0.1:{port}"), "utf-8")
        try:
            yield it, front
        finally:
            server.close()


DEEP = b"[" * 100_000 + b"]" * 100_000

TYPE = b"Content-Type: application/json"
