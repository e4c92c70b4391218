"""An HTTP proxy on loopback, as companies run them: with a sign-in, and one that inspects TLS."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from tests.helpers.authority import Authority

Place = tuple[str, int]


class InspectingProxy:
    """A proxy that records what it is asked, and what it can read of it.

    hosts: where the names lead that it alone can resolve. credentials: "user:password" that it
    asks for by Basic. authority: signs the certificates with which it inspects TLS. upstream: the
    TLS with which it asks the targets then. status: with which it answers each CONNECT.
    """

    def __init__(
        self,
        hosts: Mapping[Place, Place] | None = None,
        *,
        credentials: str = "",
        authority: Authority | None = None,
        upstream: ssl.SSLContext | None = None,
        status: str = "",
        challenges: str = 'Basic realm="proxy"',
    ) -> None:
        self.hosts = dict(hosts or {})
        self.credentials = credentials
        self.authority = authority
        self.upstream = upstream
        self.status = status
        self.challenges = challenges
        #: The requests that it got, up to the empty line; and what went to the targets.
        self.heads: list[str] = []
        self.passed_on = bytearray()
        self.url = ""
        self._inspecting: dict[Place, Place] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return self.url.partition("://")[2]

    def targets(self) -> set[str]:
        """What it was asked to connect to, or to fetch."""
        return {head.split(" ")[1] for head in self.heads}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        method, target, _ = head.split(" ", 2)
        if self.credentials and not self._is_signed_in(head):
            await self._answer(writer, "407 Proxy Authentication Required", self.challenges)
        elif method != "CONNECT":
            await self._forward(head, target, reader, writer)
        elif self.status:
            await self._answer(writer, self.status)
        else:
            host, _, port = target.rpartition(":")
            place = (host.strip("[]"), int(port))
            to = await self._inspected(place) if self.authority else self._resolved(place)
            try:
                far_reader, far_writer = await asyncio.open_connection(*to)
            except OSError:
                await self._answer(writer, "502 Bad Gateway")
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._join(reader, writer, far_reader, far_writer)

    def _is_signed_in(self, head: str) -> bool:
        sent = b64encode(self.credentials.encode()).decode()
        return f"proxy-authorization: basic {sent}".lower() in head.lower()

    def _resolved(self, place: Place) -> Place:
        return self.hosts.get(place, place)

    async def _answer(
        self, writer: asyncio.StreamWriter, status: str, challenges: str = ""
    ) -> None:
        lines = [f"HTTP/1.1 {status}", "Content-Length: 0"]
        lines += [f"Proxy-Authenticate: {one}" for one in challenges.split("|") if one]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        writer.close()

    async def _forward(
        self, head: str, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass on one request for a http address, without what was for the proxy alone."""
        origin, _, path = target.partition("://")[2].partition("/")
        host, _, port = origin.partition(":")
        lines = [line for line in head.split("\r\n")[1:-2] if not line.lower().startswith("proxy-")]
        first = f"{head.split(' ', maxsplit=1)[0]} /{path} HTTP/1.1"
        sent = "\r\n".join([first, *lines, "Connection: close", "", ""]).encode()
        far_reader, far_writer = await asyncio.open_connection(
            *self._resolved((host, int(port or 80)))
        )
        self.passed_on += sent
        far_writer.write(sent)
        await self._join(reader, writer, far_reader, far_writer)

    async def _inspected(self, place: Place) -> Place:
        """The server of its own that is the target to whoever believes its authority."""
        if place not in self._inspecting:
            assert self.authority is not None

            async def inspect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                far = await asyncio.open_connection(*self._resolved(place), ssl=self.upstream)
                await self._join(reader, writer, *far, self.passed_on)

            context = self.authority.server_context(place[0])
            self._inspecting[place] = await self.listen(inspect, context)
        return self._inspecting[place]

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
        seen: bytearray | None = None,
    ) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, far_writer, seen))
            group.create_task(_pump(far_reader, writer, None))

    async def listen(self, handle: object, context: ssl.SSLContext | None = None) -> Place:
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                with suppress(OSError, EOFError, asyncio.CancelledError):
                    await handle(reader, writer)  # type: ignore[operator]
            finally:
                self._tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=context)
        self._servers.append(server)
        place: Place = server.sockets[0].getsockname()[:2]
        return place

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray | None
) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            if seen is not None:
                seen += chunk
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxying(
    proxy: InspectingProxy, tls: ssl.SSLContext | None = None
) -> AsyncIterator[InspectingProxy]:
    """Let a proxy listen. tls: where the proxy itself speaks TLS."""
    _, port = await proxy.listen(proxy.handle, tls)
    proxy.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield proxy
    finally:
        await proxy.close()
