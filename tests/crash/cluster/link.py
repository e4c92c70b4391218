"""Link: the way of one node to PostgreSQL, a proxy on loopback that can be cut.

What is on its way when it is cut arrives late: after the cut, when others may have gone on, and
also if its sender is dead by then. Or it never arrives, and the connections end.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Link:
    """A proxy on loopback. port: of it."""

    def __init__(self, port: int) -> None:
        """port: of the server."""
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._server.getsockname()[1]
        self._requests, self._answers = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._requests.set()
        self._answers.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def is_cut(self) -> bool:
        return not self._answers.is_set()

    def cut(self, *, requests: bool = True) -> None:
        """Pass nothing on from now on; without requests: no answers only. Neither end is told."""
        self._answers.clear()
        if requests:
            self._requests.clear()

    def heal(self, *, reset: bool = False) -> None:
        """Pass on again, also what came meanwhile; reset: end the connections instead."""
        if reset:
            self._end_all()
        self._requests.set()
        self._answers.set()

    def close(self) -> None:
        _close(self._server)
        self._end_all()
        self._requests.set()
        self._answers.set()

    def _end_all(self) -> None:
        with self._lock:
            ended, self._open = self._open, set()
        for one in ended:
            _close(one)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            _close(near)
            return
        with self._lock:
            self._open |= {near, far}
        answers = threading.Thread(target=_pass_on, args=(far, near, self._answers), daemon=True)
        answers.start()
        _pass_on(near, far, self._requests)
        answers.join()
        with self._lock:
            self._open -= {near, far}


def _pass_on(source: socket.socket, target: socket.socket, gate: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            gate.wait()
            target.sendall(data)
        gate.wait()
    _close(target)
    _close(source)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def link(port: int) -> Iterator[Link]:
    """A link to the server of a port while the block runs."""
    one = Link(port)
    try:
        yield one
    finally:
        one.close()
