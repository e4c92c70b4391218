"""Contract of a part of a source: what one poll is of, and what is kept from one poll to the next.

A source is one part, unless several nodes share its companies among them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection

from msgspec import Struct


class Begun(Struct, frozen=True):
    """A poll that has begun. number: in the ledger; whatever was recorded before has a smaller one.

    before: the number of the poll of this part that came before. cursor: where a walk may begin.
    settled: what ended before this number, and whose source was not told, is told by this poll.
    """

    number: int
    before: int
    cursor: str = ""
    settled: float = math.inf


class Part(ABC):
    """A part of a source. companies: whose lists it is; None: all that the source lists.

    starting: seconds for which one poll may start documents; the rest is left to the next one.
    """

    companies: Collection[str] | None = None
    starting: float = math.inf

    @abstractmethod
    async def begin(self) -> Begun:
        """Count a poll that begins."""

    @abstractmethod
    async def left_out(self, items: int) -> None:
        """Record how many listed documents a poll could not read."""

    @abstractmethod
    async def keep_cursor(self, cursor: str) -> None:
        """Record where a later walk may begin; all that was listed before has come to its end."""

    @abstractmethod
    async def complete(self, at: float) -> None:
        """Record that a poll was complete, in seconds since 1970."""
