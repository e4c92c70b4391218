"""Payload: the bytes of a document, in memory if small, in a temporary file if large."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
from msgspec import Struct


class Payload(Struct, frozen=True):
    """The bytes of one document: in memory (data) or in a temporary file (spool), never both.

    size: in bytes. sha256: of all of them, in hexadecimal, computed as they arrived.
    """

    size: int
    sha256: str
    data: bytes | None = None
    spool: Path | None = None

    @property
    def held(self) -> int:
        """Bytes of memory that it occupies, which the bounds of the queues count."""
        return 0 if self.data is None else len(self.data)

    def open(self) -> BinaryIO:
        """Open it for reading from its beginning; the caller closes the stream."""
        if self.data is not None:
            return BytesIO(self.data)
        assert self.spool is not None
        return self.spool.open("rb")

    def head(self, size: int) -> bytes:
        """The first bytes, at most size of them."""
        if self.data is not None:
            return self.data[:size]
        with self.open() as stream:
            return stream.read(size)

    def read(self) -> bytes:
        """All of its bytes, in memory, whatever its size."""
        if self.data is not None:
            return self.data
        with self.open() as stream:
            return stream.read()

    def discard(self) -> None:
        """Remove the temporary file, if there is one; may be called again."""
        if self.spool is not None:
            with suppress(OSError):
                self.spool.unlink(missing_ok=True)

    async def release(self) -> None:
        """As discard(), in a thread, for callers on the event loop."""
        if self.spool is not None:
            await anyio.to_thread.run_sync(self.discard)
