"""Reading of a list: walks over a source's list ahead of whoever handles its pages.

What has arrived meanwhile is handled together, for the ledger is asked once for all of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress

import anyio

from pipeline.errors import RetryableError, SignInRefused, SourceUnreachable, SynqupError
from pipeline.source import Entry, Source
from stages.settings import Config

#: Pages that are read ahead of those that are being handled.
AHEAD = 8
#: Entries that are handled together, unless the last page brings more.
TOGETHER = 500


class Reading:
    """One walk over a source's list. page_read: called for each page that has arrived.

    failure: why the walk is incomplete. fatal: whether another one would fail as well.
    """

    def __init__(self, source: Source, config: Config, page_read: Callable[[], None]) -> None:
        self.failure: SynqupError | None = None
        self.fatal = False
        self._source = source
        self._config = config
        self._page_read = page_read
        self._send, self._receive = anyio.create_memory_object_stream[Sequence[Entry]](AHEAD)

    async def run(self) -> None:
        """Read the list until its end, as fast as its pages are taken; raises no SynqupError."""
        async with self._send, aclosing(self._source.list(self._config)) as pages:
            try:
                async for page in pages:
                    self._page_read()
                    await self._send.send(page)
            except SynqupError as error:
                self.fail(
                    error, isinstance(error, RetryableError | SourceUnreachable | SignInRefused)
                )

    def fail(self, failure: SynqupError, fatal: bool) -> None:
        """Note why the walk is incomplete."""
        self.failure, self.fatal = failure, fatal

    async def pages(self) -> AsyncGenerator[Sequence[Entry], None]:
        """What has arrived, in the order of the list, until the walk has ended."""
        async with self._receive:
            async for page in self._receive:
                entries = list(page)
                with suppress(anyio.WouldBlock, anyio.EndOfStream):
                    while len(entries) < TOGETHER:
                        entries.extend(self._receive.receive_nowait())
                yield entries
