"""One worker process, as the first process knows it: started, given documents, seen to its end."""

from __future__ import annotations

import itertools
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE

import anyio
from anyio.abc import Process, SocketStream

from pipeline.acknowledge import Settled
from pipeline.document import Key
from pipeline.errors import SynqupError
from pipeline.intake import Flight
from pipeline.link import Link
from pipeline.orders import Drop, OpenSource, Share, Take
from pipeline.source import Source

#: Starts a worker; -P: what lies in the folder we happen to run in is none of its modules.
COMMAND = [sys.executable, "-P", "-m", "pipeline.worker"]
#: Seconds in which a process is gone that has let go of us; then it is killed.
LAST_WORDS = 5.0


class Member:
    """One worker process, and what it has in hand.

    at_large: whether it takes whatever comes; if not it is on probation, or not ready yet.
    """

    def __init__(self, number: int, process: Process, stream: SocketStream) -> None:
        self.number = number
        self.process = process
        self.link = Link(stream, self._name, _find_nothing)
        self.flights: dict[Key, Flight] = {}
        self.ready = False
        self.at_large = False
        self.idle = anyio.Event()
        self.setbacks: Mapping[str, SynqupError] = {}
        # What it knows by a number, by id(): held here too, so that nothing else gets that id.
        self._shared: dict[int, tuple[int, object]] = {}
        self._numbers = itertools.count(1)

    def take(self, flight: Flight, common: object) -> None:
        """Give it a document, or what has to be told of one."""
        cargo = flight.cargo
        source = cargo.source if isinstance(cargo, Settled) else cargo.ack.source
        if id(source) not in self._shared:
            self._share(source, OpenSource(next(self._numbers), source.settings))
        if common is not None and id(common) not in self._shared:
            # One configuration follows another: what is in flight has its own in hand.
            self.forget(lambda thing: type(thing) is type(common))
            self._share(common, Share(next(self._numbers), common))
        self.flights[cargo.key] = flight
        self.idle = anyio.Event()
        self.link.send(Take(cargo))

    def land(self, key: Key) -> None:
        """It has seen one to its end."""
        del self.flights[key]
        if not self.flights:
            self.idle.set()

    def forget(self, which: Callable[[object], bool]) -> None:
        """Have it let go of what it knows by a number."""
        self.link.seal()
        for number, thing in list(self._shared.values()):
            if which(thing):
                del self._shared[id(thing)]
                self.link.send(Drop(number))

    def source(self, number: int) -> Source:
        """The source that it knows by this number. LookupError."""
        for known, thing in self._shared.values():
            if known == number and isinstance(thing, Source):
                return thing
        raise LookupError(f"no source {number}")

    def _share(self, thing: object, order: OpenSource | Share) -> None:
        self.link.send(order)
        self.link.seal()
        self._shared[id(thing)] = (order.number, thing)

    def _name(self, thing: object) -> int | None:
        shared = self._shared.get(id(thing))
        return shared[0] if shared is not None else None


@asynccontextmanager
async def started(number: int) -> AsyncIterator[Member]:
    """A worker process for as long as the block runs: after it, the process is gone."""
    process, stream = await _start()
    try:
        async with stream:
            yield Member(number, process, stream)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _start() -> tuple[Process, SocketStream]:
    ours, theirs = socket.socketpair()
    with theirs:
        # It finds its modules where we found ours.
        path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
        process = await anyio.open_process(
            COMMAND,
            stdin=PIPE if sys.platform == "win32" else theirs.fileno(),
            stdout=None,
            stderr=None,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        if sys.platform == "win32" and process.stdin is not None:
            async with process.stdin:
                await process.stdin.send(theirs.share(process.pid))
    return process, await SocketStream.from_socket(ours)


async def _end(process: Process) -> None:
    """Wait for the end of a process that has let go of us, or has no more time to."""
    with anyio.move_on_after(LAST_WORDS):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


def _find_nothing(_: object) -> object:
    raise LookupError("a worker names nothing by a number")
