"""Keeper: hands what was delivered to the copies, beside all other work and within bounded memory.

A copy is never worth a delay of documents: where the disk can't keep up, some get none.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import anyio
import anyio.to_thread
import structlog

from pipeline.config.types import ServiceSettings
from pipeline.document import Document
from pipeline.engine.copies import Copies, Copy
from pipeline.files import os_reason
from pipeline.ledger.orders import AGAIN
from pipeline.payload import Payload

log = structlog.get_logger(__name__)

#: Documents and bytes that wait for being kept, at most.
MAX_WAITING = 512
MAX_BYTES = 32 * 1024 * 1024
#: Documents of one transaction.
GROUP = 64
#: Seconds between two lines of the log that copies are missing.
SILENCE = 600.0
#: Seconds that a stop waits for what is to be kept.
LAST = 10.0


class Keeper:
    """Keeps copies while run() runs, if the settings say so."""

    def __init__(self, copies: Copies, settings: ServiceSettings) -> None:
        self.copies = copies
        self._settings = settings
        self._held = 0
        self._missing = 0
        self._told = -SILENCE
        self._send, self._receive = anyio.create_memory_object_stream[list[Copy]](MAX_WAITING)

    def apply(self, settings: ServiceSettings) -> None:
        """Keep by other settings from now on."""
        self._settings = settings

    async def keep(self, document: Document[Any]) -> None:
        """Take the bytes of a document that was delivered; returns before they are kept."""
        if self._settings.keep_delivered is None or document.key.source == AGAIN:
            return
        size = document.payload.size if document.payload is not None else 0
        if self._held + size > MAX_BYTES and self._held:
            self._miss("they are delivered faster than the disk keeps copies")
            return
        self._held += size
        try:
            copies = [await _copy(document, "", document.payload)]
            copies += [
                await _copy(document, one.extension, one.payload) for one in document.sidecars
            ]
            self._send.send_nowait([one for one in copies if one is not None])
        except (OSError, anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._held -= size
            self._miss("they are delivered faster than the disk keeps copies")

    async def run(self) -> None:
        """Keep what is taken, until cancelled; then for LAST seconds what has been taken."""
        async with self._send, self._receive:
            try:
                async for first in self._receive:
                    await self._keep(first)
            finally:
                with anyio.move_on_after(LAST, shield=True):
                    while (waiting := self._next()) is not None:
                        await self._keep(waiting)

    def _next(self) -> list[Copy] | None:
        try:
            return self._receive.receive_nowait()
        except (anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError):
            return None

    async def _keep(self, first: list[Copy]) -> None:
        group, count = list(first), 1
        while count < GROUP and (more := self._next()) is not None:
            group += more
            count += 1
        try:
            limit = self._settings.keep_delivered_size
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self.copies.put, group, limit)
        except (OSError, sqlite3.Error) as error:
            self._miss(os_reason(error) if isinstance(error, OSError) else str(error), count)
        finally:
            self._held -= sum(len(one.content) for one in group if not one.extension)
            if not self._receive.statistics().current_buffer_used:
                self._held = 0

    def _miss(self, reason: str, documents: int = 1) -> None:
        """Log now and then that there are no copies of documents."""
        self._missing += documents
        if time.monotonic() - self._told > SILENCE:
            log.warning(
                "no copies are kept of delivered documents",
                documents=self._missing,
                reason=reason,
                remedy="Make room in state_dir; for these the platform is asked instead",
            )
            self._told, self._missing = time.monotonic(), 0


async def _copy(document: Document[Any], extension: str, payload: Payload | None) -> Copy | None:
    if payload is None:
        return None
    content = payload.data
    if content is None:
        content = await anyio.to_thread.run_sync(payload.read)
    return Copy(document.key, extension, content)
