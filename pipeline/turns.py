"""Turns: who may replace what a source keeps for one use, such as a refresh token, and until when.

In one process a lock of the object that does it is enough. Several nodes take turns by a claim that
they all see (pipeline/cluster/turns.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol


class Turn:
    """A turn that somebody has.

    at: when it began, in seconds since 1970, by a clock that is the same for all who take turns.
    is_orphaned: whether one before it has begun and nobody knows how it ended.
    ends: when it ends unless it is prolonged, by this process's time.monotonic().
    """

    def __init__(self, at: float, *, is_orphaned: bool = False, ends: float = math.inf) -> None:
        self.at = at
        self.is_orphaned = is_orphaned
        self.ends = ends

    @property
    def is_over(self) -> bool:
        """Whether somebody else may have the turn by now, as this process was held up."""
        return time.monotonic() >= self.ends


class Turns(Protocol):
    """What the nodes of a cluster take turns by."""

    def turn(self, source: str) -> AbstractAsyncContextManager[Turn]:
        """Wait for the turn of a source, and have it for as long as the block runs.

        A block that raises leaves the turn orphaned if it was so before. Raises RetryableError
        where the turn can't be had.
        """


@asynccontextmanager
async def taken(turns: Turns | None, source: str) -> AsyncGenerator[Turn]:
    """Have the turn of a source; without turns, this process is the only one, and has it."""
    if turns is None:
        yield Turn(time.time())
        return
    async with turns.turn(source) as turn:
        yield turn
