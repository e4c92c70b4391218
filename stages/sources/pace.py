"""How many requests a source gets at once: fewer when it is hard pressed, more as it recovers.

Additive increase, multiplicative decrease, as TCP does it (RFC 5681, 3.1).
"""

from __future__ import annotations

import time
from collections import deque

import anyio

from pipeline.errors import PassingError
from pipeline.retries import Retries

#: An answer is slow that takes longer than so many seconds, and so many times what is usual.
SLOW = 1.0
SLOWER = 4.0
#: How much of the usual time is the latest answer's.
WEIGHT = 1 / 16
#: What is left of the limit when the source refuses, and when it only becomes slow.
REFUSED = 0.5
SLOWED = 0.75


class Pace:
    """The requests of one source that are under way, and the bound of their number."""

    def __init__(self, most: int, retries: Retries) -> None:
        self.most = most
        self.limit = float(most)
        self._retries = retries
        self._flying = 0
        self._waiting: deque[anyio.Event] = deque()
        self._held_until = 0.0
        self._cut_at = 0.0
        self._refusals = 0
        self._usual = 0.0

    async def enter(self, subject: str) -> None:
        """Wait for one's turn; leave() ends it.

        PassingError when the source has asked for a longer rest than we wait for.
        """
        if self._held_until or self._waiting or self._flying >= int(self.limit):
            await self._turn(subject)
        self._flying += 1

    def leave(self) -> None:
        """A request has ended, whichever way."""
        self._flying -= 1
        if self._waiting:
            self._wake()

    def answered(self, began: float) -> None:
        """A request that began then (by the monotonic clock) has been taken and answered now."""
        now = time.monotonic()
        seconds = now - began
        self._refusals = 0
        if seconds > SLOW and seconds > SLOWER * self._usual > 0:
            self._cut(SLOWED, began, now)
        elif self.limit < self.most:
            self.limit = min(self.limit + 1 / self.limit, self.most)
        self._usual += (seconds - self._usual) * (WEIGHT if self._usual else 1)

    def refused(self, began: float, retry_after: float | None) -> None:
        """The source has too much to do, and perhaps says how many seconds it wants to rest."""
        now = time.monotonic()
        if self._cut(REFUSED, began, now):
            self._refusals += 1
        if retry_after is None:
            wait = self._retries.first_wait * 2 ** min(max(self._refusals - 1, 0), 16)
            retry_after = min(wait, self._retries.longest_wait)
        self._held_until = max(self._held_until, now + retry_after)

    def timed_out(self, began: float) -> None:
        """The source did not answer a request that began then."""
        self._cut(REFUSED, began, time.monotonic())

    def _cut(self, share: float, began: float, now: float) -> bool:
        # What was under way at the last cut tells nothing of the limit since then.
        if began < self._cut_at:
            return False
        self._cut_at = now
        self.limit = max(self.limit * share, 1.0)
        return True

    async def _turn(self, subject: str) -> None:
        while True:
            rest = self._held_until - time.monotonic()
            if rest > self._retries.longest_asked:
                raise PassingError(
                    subject, f"the source asks to be left alone for {rest:,.0f} s", retry_after=rest
                )
            if rest > 0:
                await anyio.sleep(rest)
                continue
            self._held_until = 0.0
            if self._flying < int(self.limit):
                return
            turn = anyio.Event()
            self._waiting.append(turn)
            try:
                await turn.wait()
            except BaseException:
                if turn.is_set():
                    self._wake()
                else:
                    self._waiting.remove(turn)
                raise

    def _wake(self) -> None:
        for _ in range(min(int(self.limit) - self._flying, len(self._waiting))):
            self._waiting.popleft().set()
