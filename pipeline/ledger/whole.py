"""Whole source: a source as one part, of which the ledger keeps what its polls need."""

from __future__ import annotations

from pipeline.ledger.ledger import Ledger
from pipeline.part import Begun, Part


class WholeSource(Part):
    """All that a source lists."""

    def __init__(self, ledger: Ledger, source: str) -> None:
        self._ledger = ledger
        self._source = source

    async def begin(self) -> Begun:
        """Count a poll in the ledger."""
        number = await self._ledger.begin_poll(self._source)
        return Begun(number, number - 1, await self._ledger.cursor(self._source))

    async def left_out(self, items: int) -> None:
        """Record it of the source."""
        await self._ledger.unreadable(self._source, items)

    async def keep_cursor(self, cursor: str) -> None:
        """Record it of the source."""
        await self._ledger.set_cursor(self._source, cursor)

    async def complete(self, at: float) -> None:
        """Record it of the source."""
        await self._ledger.polled(self._source, at)
