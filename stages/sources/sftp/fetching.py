"""Fetching: reads one file, and goes on where it was when the connection ends in the middle."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import asyncssh

from pipeline.errors import Rejected, RetryableError, SourceUnavailable
from stages.sources.sftp.connection import CHUNK, SshConnection
from stages.sources.sftp.failures import MISSING
from stages.sources.sftp.removal import revision

#: How often one file is gone on with without a single byte in between.
RESUMPTIONS = 3


class Gone(Rejected):
    """The file was taken away after it had been listed."""

    reason = "the file was taken away from the server, or renamed, before it was read"
    remedy = "If it is a document, have it put there again"


class Changed(RetryableError):
    """The file is not what was listed any more: somebody is writing it."""

    reason = "the file has changed since it was listed, so it is still being written"
    remedy = "It will be fetched when it is at rest"


async def chunks(
    connection: SshConnection, path: bytes, label: str, stated: str, pause: float
) -> AsyncGenerator[bytes, None]:
    """Read a file from its beginning to its end. path: at the server.

    stated: the revision with which it was listed, "" for any. pause: seconds before it is gone on
    with, which double. Changed if it has another one, before or after; Gone if there is none;
    SourceUnavailable if it can't be gone on with.
    """
    offset, in_vain = 0, 0
    while True:
        before = offset
        try:
            async with _opened(connection, path, label) as (file, found):
                stated = stated or found
                if found != stated:
                    raise Changed(label)
                size = int(stated.partition(":")[0])
                # One request at a time: of several, the library forgets those that a connection
                # takes along when it ends, and asyncio reports each as an error of its own.
                at_once = min(CHUNK, file.read_len or CHUNK)
                while offset < size:
                    async with connection.words(label, "be read"):
                        chunk = await connection.ask(file.read(min(at_once, size - offset), offset))
                    if not chunk:
                        raise Changed(label, "the file has become shorter while it was read")
                    assert isinstance(chunk, bytes)
                    offset += len(chunk)
                    yield chunk
                async with connection.words(label, "be read"):
                    session = await connection.session()
                    after = await connection.ask(session.lstat(path))
                if revision(after.size, after.mtime) != stated:
                    raise Changed(label)
                return
        except SourceUnavailable:
            in_vain = 0 if offset > before else in_vain + 1
            if in_vain >= RESUMPTIONS:
                raise
            await anyio.sleep(pause * 2**in_vain)


@asynccontextmanager
async def _opened(
    connection: SshConnection, path: bytes, label: str
) -> AsyncIterator[tuple[asyncssh.SFTPClientFile, str]]:
    """Open a file, and tell its revision."""
    async with connection.words(label, "be read"):
        session = await connection.session()
        try:
            link = await connection.ask(session.lstat(path))
            if link.type != asyncssh.constants.FILEXFER_TYPE_REGULAR:
                raise Changed(label, "something else has taken the place of the file")
            file = await connection.ask(session.open(path, "rb", encoding=None))
        except MISSING:
            raise Gone(label) from None
    try:
        async with connection.words(label, "be read"):
            attrs = await connection.ask(file.stat())
        yield file, revision(attrs.size, attrs.mtime)
    finally:
        # A handle ends with its connection, if that has ended.
        with anyio.move_on_after(1, shield=True), suppress(asyncssh.Error, OSError):
            await file.close()
