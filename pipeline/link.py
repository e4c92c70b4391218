"""Messages between two processes of one program, in order, over a socket that only they have."""

from __future__ import annotations

import pickle
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

#: In front of messages that are packed together: how many bytes they have.
LENGTH = struct.Struct("!I")

#: Says what stands in a message for something that both sides have already; None for all else.
Name = Callable[[Any], Any]
#: Gives what such a stand-in stands for.
Find = Callable[[Any], Any]


class Link:
    """One end of the connection; run() does the sending.

    Whoever sends bounds what is under way: nothing here makes it wait.
    """

    def __init__(self, stream: SocketStream, name: Name, find: Find) -> None:
        self._stream = stream
        self._name = name
        self._find = find
        self._messages: list[object] = []
        self._packed = bytearray()
        self._more = anyio.Event()

    def send(self, message: object) -> None:
        """Have a message sent: those of one turn of the event loop are packed together."""
        self._messages.append(message)
        self._more.set()

    def seal(self) -> None:
        """Pack what there is: what has a name from now on, or has none any more, goes by it."""
        if self._messages:
            packed = BytesIO()
            _Packer(packed, self._name).dump(self._messages)
            self._packed += LENGTH.pack(packed.tell()) + packed.getbuffer()
            self._messages = []

    async def run(self) -> None:
        """Send what there is to send, until cancelled or the other side is gone."""
        try:
            while True:
                await self._more.wait()
                await self.flush()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            # Whoever reads learns of it as well, and knows what it means.
            pass

    async def flush(self) -> None:
        """Wait until all has been handed to the system."""
        self.seal()
        self._more = anyio.Event()
        packed, self._packed = self._packed, bytearray()
        if packed:
            await self._stream.send(bytes(packed))

    async def __aiter__(self) -> AsyncIterator[Any]:
        """What the other side sends, until it ends, in whatever way."""
        stream = BufferedByteReceiveStream(self._stream)
        try:
            while True:
                (length,) = LENGTH.unpack(await stream.receive_exactly(LENGTH.size))
                packed = BytesIO(await stream.receive_exactly(length))
                for message in _Unpacker(packed, self._find).load():
                    yield message
        except (anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return


class _Packer(pickle.Pickler):
    def __init__(self, file: BytesIO, name: Name) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._name = name

    def persistent_id(self, thing: Any) -> Any:
        return self._name(thing)


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: BytesIO, find: Find) -> None:
        super().__init__(file)
        self._find = find

    def persistent_load(self, stand_in: Any) -> Any:
        return self._find(stand_in)


def inherited() -> socket.socket:
    """The end of a link that this process was started with."""
    if sys.platform == "win32":
        return socket.fromshare(sys.stdin.buffer.read())
    return socket.socket(fileno=0)
