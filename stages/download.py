"""Stage 2, download: the bytes of a document, in memory or in a temporary file."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiofiles
import anyio
import anyio.to_thread
import structlog
from aiofiles.threadpool.binary import AsyncBufferedIOBase

from pipeline.config.types import Service
from pipeline.document import Document
from pipeline.engine.breaker import Breaker
from pipeline.errors import AlreadyDelivered, Corrupt, Rejected, RetryableError
from pipeline.payload import Payload
from pipeline.source import Announced, Incoming
from stages.model import Fetched, Listed

log = structlog.get_logger(__name__)


class Download:
    """Fetches documents; large ones go to files in spool_dir, which whoever ends them removes.

    breaker: says how patiently a source is to be asked.
    """

    def __init__(self, spool_dir: Path, breaker: Breaker | None = None) -> None:
        spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in spool_dir.rglob("*"):
            if leftover.is_file():
                leftover.unlink(missing_ok=True)
        self._spool_dir = spool_dir
        self._breaker = breaker or Breaker()

    async def process(self, document: Document[Listed]) -> Document[Fetched]:
        """Fetch one document, again and again while its failures are passing ones.

        RetryableError when that goes on; Rejected when it is too large or gone;
        AlreadyDelivered when it is what this id stood for before.
        """
        source = document.ack.source
        return await self._breaker.patiently(source, partial(self._fetch, document))

    async def form(self, document: Document[Any], media_type: str) -> tuple[Payload, Announced]:
        """Fetch another form of a document, with what the source states of its bytes.

        Rejected if there is none; otherwise as process().
        """
        service = document.meta.listed.config.service
        work = partial(self._bring, document, service, media_type)
        return await document.ack.source.retries.run(work)

    async def _fetch(self, document: Document[Listed]) -> Document[Fetched]:
        payload, announced = await self._bring(document, document.meta.config.service, "")
        if payload.sha256 in document.entry.had:
            await payload.release()
            raise AlreadyDelivered(
                document.entry.label, "it was delivered before, and the source lists it again"
            )
        if document.entry.had:
            log.warning(
                "the source holds another document where one was delivered before",
                document=document.entry.label,
            )
        return document.grown(Fetched(document.meta, announced), payload)

    async def _bring(
        self, document: Document[Any], service: Service, media_type: str
    ) -> tuple[Payload, Announced]:
        label = document.entry.label
        async with document.ack.source.fetch(document.entry, media_type) as incoming:
            length = incoming.announced.length
            if length is not None and length > service.max_document_size:
                raise _too_large(label, length, service.max_document_size)
            payload = await self._receive(incoming, label, service)
        if length is not None and payload.size < length:
            payload.discard()
            raise RetryableError(label, f"only {payload.size:,} of {length:,} bytes have arrived")
        if not payload.size:
            raise Corrupt(label, "the source sent nothing")
        return payload, incoming.announced

    async def _receive(self, incoming: Incoming, label: str, service: Service) -> Payload:
        counted = _Counted(label, service.max_document_size)
        held: list[bytes] = []
        async for chunk in incoming.chunks:
            counted.add(chunk)
            held.append(chunk)
            if counted.size > service.spool_threshold:
                break
        else:
            return Payload(counted.size, counted.sha256, b"".join(held))
        path = self._spool_dir / uuid.uuid4().hex
        async with _new_file(path) as spool:
            await spool.write(b"".join(held))
            held.clear()
            async for chunk in incoming.chunks:
                counted.add(chunk)
                await spool.write(chunk)
        return Payload(counted.size, counted.sha256, spool=path)


class _Counted:
    """The bytes of a document so far: how many, and their SHA-256 in hexadecimal."""

    def __init__(self, label: str, limit: int) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._label = label
        self._limit = limit

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, chunk: bytes) -> None:
        """Count more in. Rejected when they are too many."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise _too_large(self._label, self.size, self._limit)
        self._digest.update(chunk)


@asynccontextmanager
async def _new_file(path: Path) -> AsyncIterator[AsyncBufferedIOBase]:
    """A private file that is closed in any case, and removed unless all has been written.

    It is opened and closed in a thread, which a cancellation does not stop: so it has to wait.
    """
    try:
        with anyio.CancelScope(shield=True):
            file = await aiofiles.open(path, "xb", opener=_private)
        try:
            yield file
        finally:
            with anyio.CancelScope(shield=True):
                await file.close()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.Path(path).unlink(missing_ok=True)
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _too_large(label: str, size: int, limit: int) -> Rejected:
    return Rejected(
        label,
        f"it has {size:,} bytes or more, and max_document_size is {limit:,}",
        "Raise max_document_size in [service] if such documents are to come",
    )
