"""Request budget: sends no more requests in a span of time than a platform says that it takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import anyio

#: Requests that leave in time may arrive closer together: so much longer is waited.
MARGIN = 1.02


class RequestBudget:
    """So many requests in so many seconds, however often that is stated.

    limits: (requests, seconds) each; one of no requests is none.
    """

    def __init__(self, limits: Sequence[tuple[int, float]]) -> None:
        self._limits = [
            (deque[float](maxlen=requests), requests, seconds * MARGIN)
            for requests, seconds in limits
            if requests
        ]

    async def take(self) -> None:
        """Wait until one more request may be sent; in the order of the calls."""
        now = time.monotonic()
        turn = self.reserve(now)
        if turn > now:
            await anyio.sleep(turn - now)

    def reserve(self, now: float) -> float:
        """When the next request may be sent, which is counted as sent then."""
        turn = now
        for sent, requests, seconds in self._limits:
            if len(sent) == requests:
                turn = max(turn, sent[0] + seconds)
        for sent, _, _ in self._limits:
            sent.append(turn)
        return turn
