"""Pushing: how the sandbox tells an address of each document that arrives while it is served."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import blake2b

import aiohttp
import anyio
from msgspec import Struct

from stages.sandbox.corpus import Document
from stages.sandbox.mailbox import Mailbox

#: Seconds between two looks for documents that have arrived, and for an answer.
LOOK = 0.05
PATIENCE = 10.0


class Push(Struct, frozen=True):
    """A request that tells of a document."""

    body: bytes
    headers: Mapping[str, str]


#: Makes the push of a document; None: the platform does not tell of it.
MakePush = Callable[[Mailbox, Document], Push | None]


def push_secret(mailbox: Mailbox) -> str:
    """The secret of the webhook: the same for the same seed."""
    return blake2b(f"push {mailbox.seed}".encode(), digest_size=20).hexdigest()


@asynccontextmanager
async def pushing(url: str, mailbox: Mailbox, make: MakePush) -> AsyncIterator[None]:
    """Tell an address of documents that arrive while the block runs; "": tell nobody.

    Each is told once, whatever the answer is, and redirects are not followed.
    """
    if not url:
        yield
        return
    timeout = aiohttp.ClientTimeout(PATIENCE)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        anyio.create_task_group() as group,
    ):
        group.start_soon(_tell, url, mailbox, make, session)
        yield
        group.cancel_scope.cancel()


async def _tell(url: str, mailbox: Mailbox, make: MakePush, session: aiohttp.ClientSession) -> None:
    told = len(mailbox)
    while True:
        while told < len(mailbox):
            push = make(mailbox, mailbox[told])
            told += 1
            if push is None:
                continue
            try:
                async with session.post(
                    url, data=push.body, headers=push.headers, allow_redirects=False
                ):
                    pass
            except (aiohttp.ClientError, TimeoutError):
                pass
        await anyio.sleep(LOOK)
