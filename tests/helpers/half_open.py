"""A way to a server on loopback that can be cut, or made half open: answers alone don't arrive."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Way:
    """Passes bytes on to a port. mute: keeps the answers back; cut(): ends all connections."""

    def __init__(self, port: int) -> None:
        self.mute = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._target = port
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def cut(self) -> None:
        """End all connections, and let no new one come."""
        self.close()

    def close(self) -> None:
        """As cut()."""
        with suppress(OSError):
            # Closing alone wakes nobody who waits for a connection.
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._open:
            one.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for pair in ((near, far, False), (far, near, True)):
                    self._start(self._pass, *pair)

    def _pass(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not (is_answer and self.mute.is_set()):
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def way_to(port: int) -> Iterator[Way]:
    """A way to a port, for as long as the block runs."""
    way = Way(port)
    try:
        yield way
    finally:
        way.close()
