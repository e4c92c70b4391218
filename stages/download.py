"""Download stage (2 of 6): fetches the bytes of a document, into memory or a temporary file.

Documents up to spool_threshold bytes stay in memory; larger ones go to a private file in the spool
folder, and where very many are fetched at once already those that exceed their share of the memory
for all: it is bounded whatever arrives. Bytes are counted and hashed (SHA-256) as they come.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiofiles
import anyio
import anyio.to_thread
import structlog
from aiofiles.threadpool.binary import AsyncBufferedIOBase

from pipeline.document import Document
from pipeline.errors import AlreadyDelivered, Corrupt, Rejected, RetryableError
from pipeline.payload import Payload
from pipeline.source import Announced, Incoming, Source
from pipeline.stage import MEBIBYTE, RetryFetch
from stages.model import Fetched, Listed
from stages.settings import Config

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Bytes of memory that all documents that are being fetched take, at most.
IN_MEMORY = 64 * MEBIBYTE


async def retry_as_source_says(
    source: Source,
    work: Callable[[], Awaitable[T]],
    company: str = "",  # noqa: ARG001 - of no breaker
) -> T:
    """Try a fetch as often as the `retries` of its source say, without a circuit breaker."""
    return await source.retries.run(work)


class Download:
    """Fetches documents, each with retries.

    spool_dir: the folder of the temporary files. Files that an earlier process left there are
    removed at once; a file of a document is removed when the document is released.
    retry: runs each fetch and decides how often it is tried.
    """

    def __init__(self, spool_dir: Path, retry: RetryFetch = retry_as_source_says) -> None:
        spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in spool_dir.rglob("*"):
            if leftover.is_file():
                leftover.unlink(missing_ok=True)
        self._spool_dir = spool_dir
        self._retry = retry
        #: How many pieces of documents have arrived so far.
        self.chunks = 0

    async def process(self, document: Document[Listed]) -> Document[Fetched]:
        """Fetch one document, with retries.

        RetryableError when the last try fails; Rejected when the document is too large or the
        source no longer has it; Corrupt when it is empty; AlreadyDelivered when these bytes were
        delivered under its id before.
        """
        work = partial(self._fetch_new, document)
        return await self._retry(document.ack.source, work, document.company)

    async def fetch_form(self, document: Document[Any], form: str) -> tuple[Payload, Announced]:
        """Fetch another form of a document, with retries, and what the source states of its bytes.

        Rejected if the source has no such form; other errors as in process().
        """
        work = partial(self._fetch, document, document.meta.listed.config, form)
        return await document.ack.source.retries.run(work)

    async def _fetch_new(self, document: Document[Listed]) -> Document[Fetched]:
        """Fetch the document itself; AlreadyDelivered if it brings bytes that are known."""
        payload, announced = await self._fetch(document, document.meta.config, "")
        if payload.sha256 in document.entry.known_hashes:
            await payload.release()
            raise AlreadyDelivered(
                document.entry.label, "it was delivered before, and the source lists it again"
            )
        if document.entry.known_hashes:
            log.warning(
                "the source holds another document where one was delivered before",
                document=document.entry.label,
            )
        return document.with_meta(Fetched(document.meta, announced), payload)

    async def _fetch(
        self, document: Document[Any], config: Config, form: str
    ) -> tuple[Payload, Announced]:
        """Make one try. form: the name of the one that is wanted, "" for the document itself."""
        label, limit = document.entry.label, config.service.max_document_size
        async with document.ack.source.fetch(document.entry, form) as incoming:
            length = incoming.announced.length
            if length is not None and length > limit:
                raise _too_large(label, length, limit)
            threshold = min(config.service.spool_threshold, IN_MEMORY // config.downloads)
            payload = await self._receive(incoming, label, limit, threshold)
        if length is not None and payload.size < length:
            payload.discard()
            raise RetryableError(label, f"only {payload.size:,} of {length:,} bytes have arrived")
        if not payload.size:
            raise Corrupt(label, "the source sent nothing")
        return payload, incoming.announced

    async def _receive(self, incoming: Incoming, label: str, limit: int, threshold: int) -> Payload:
        """Read the bytes to their end, into memory as long as they stay below the threshold."""
        counter = _ByteCounter(label, limit)
        held: list[bytes] = []
        async for chunk in incoming.chunks:
            self.chunks += 1
            counter.add(chunk)
            held.append(chunk)
            if counter.size > threshold:
                break
        else:
            return Payload(counter.size, counter.sha256, b"".join(held))
        path = self._spool_dir / uuid.uuid4().hex
        async with _new_file(path) as spool:
            await spool.write(b"".join(held))
            held.clear()
            async for chunk in incoming.chunks:
                self.chunks += 1
                counter.add(chunk)
                await spool.write(chunk)
        return Payload(counter.size, counter.sha256, spool=path)


class _ByteCounter:
    """Byte counter with a limit, and the SHA-256 (hexadecimal) of what it has counted."""

    def __init__(self, label: str, limit: int) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._label = label
        self._limit = limit

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, chunk: bytes) -> None:
        """Count and hash one more chunk. Rejected when the limit is exceeded."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise _too_large(self._label, self.size, self._limit)
        self._digest.update(chunk)


@asynccontextmanager
async def _new_file(path: Path) -> AsyncIterator[AsyncBufferedIOBase]:
    """Open a new private file; it is closed in any case, and removed if the body raises.

    Opening and closing run in a thread, which a cancellation can't stop: without the shields, a
    cancelled task would leave an open or forgotten file behind.
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
