"""A proxy on loopback that cuts a connection to PostgreSQL at its next commit, in three ways."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum

COMMIT = b"COMMIT\0"
#: ReadyForQuery, with no transaction open.
READY = b"Z\0\0\0\5I"


class Cut(Enum):
    """What becomes of a commit: it is made, and the answer lost; it never arrives, and the
    connection ends; it never arrives, and neither end is told."""

    ANSWER = "answer"
    REQUEST = "request"
    SILENCE = "silence"


class CuttingProxy:
    """The proxy. next: how the next commit is cut; None once that is done. cuts: how often."""

    def __init__(self, port: int) -> None:
        self.next: Cut | None = None
        self.cuts = 0
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = [self._server]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._open:
            _close(one)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                threading.Thread(target=self._requests, args=(near, far), daemon=True).start()

    def _requests(self, near: socket.socket, far: socket.socket) -> None:
        """Pass on what is asked, with the answers beside it, until a cut."""
        cut = threading.Event()
        answers = threading.Thread(target=self._answers, args=(near, far, cut), daemon=True)
        answers.start()
        with suppress(OSError):
            while data := near.recv(65536):
                if self.next is not None and COMMIT in data:
                    how, self.next = self.next, None
                    self.cuts += 1
                    cut.set()
                    if how is Cut.SILENCE:
                        return
                    if how is Cut.ANSWER:
                        far.sendall(data)
                        # The thread of the answers swallows it.
                        answers.join(30)
                    break
                far.sendall(data)
        _close(near)
        _close(far)

    def _answers(self, near: socket.socket, far: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                if not cut.is_set():
                    near.sendall(data)
                elif data.endswith(READY):
                    return
        if not cut.is_set():
            _close(near)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def cutting_proxy(port: int) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
