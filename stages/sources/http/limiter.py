"""How many requests a source gets at once: fewer when it is hard pressed, more as it recovers.

Additive increase, multiplicative decrease, as TCP does it (RFC 5681, 3.1).
"""

from __future__ import annotations

import time
from collections import deque

import anyio

from pipeline.errors import RetryableError
from pipeline.retry import MAX_RETRY_AFTER, RetryPolicy

#: An answer is slow that takes longer than so many seconds, and so many times what is usual.
SLOW = 1.0
SLOWER = 4.0
#: How much of the usual time is the latest answer's.
WEIGHT = 1 / 16
#: What is left of the limit when the source refuses, and when it only becomes slow.
REFUSED = 0.5
SLOWED = 0.75


class Turn:
    """Somebody who waits for a turn. granted: whether one has been handed over, or only a word."""

    def __init__(self) -> None:
        self.called = anyio.Event()
        self.granted = False


class ConcurrencyLimiter:
    """The requests of one source that are under way, and the bound of their number.

    A turn is counted from the moment in which it is given away, so it can't be given away twice;
    who was given one and can't use it, for whatever reason, hands it on by leave().
    """

    def __init__(self, most: int, retries: RetryPolicy) -> None:
        self.most = most
        self.limit = float(most)
        self._retries = retries
        self._flying = 0
        self._waiting: deque[Turn] = deque()
        self._resting: set[anyio.Event] = set()
        self._held_until = 0.0
        self._cut_at = 0.0
        self._refusals = 0
        self._usual = 0.0

    async def enter(self, subject: str) -> None:
        """Wait for one's turn; leave() ends it.

        RetryableError when the source has asked for a longer rest than we wait for.
        """
        if not self._held_until and not self._waiting and self._flying < int(self.limit):
            self._flying += 1
            return
        while True:
            await self._turn(subject)
            try:
                await self._rest(subject)
            except BaseException:
                self.leave()
                raise
            if self._flying <= int(self.limit):
                return
            # The limit has fallen since the turn was given away.
            self._flying -= 1

    def leave(self) -> None:
        """A request has ended, whichever way."""
        self._flying -= 1
        while self._waiting and self._flying < int(self.limit):
            turn = self._waiting.popleft()
            turn.granted = True
            self._flying += 1
            turn.called.set()

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
        self._held_until = max(self._held_until, now + min(retry_after, MAX_RETRY_AFTER))
        if self._held_until - now > self._retries.longest_asked:
            # Nobody waits for as long as that: they are called to be told so.
            while self._waiting:
                self._waiting.popleft().called.set()
            for called_off in self._resting:
                called_off.set()

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
        """Wait until a turn is ours."""
        while True:
            self._give_up_a_long_rest(subject)
            if not self._waiting and self._flying < int(self.limit):
                self._flying += 1
                return
            turn = Turn()
            self._waiting.append(turn)
            try:
                await turn.called.wait()
            except BaseException:
                if turn.granted:
                    self.leave()
                elif not turn.called.is_set():
                    self._waiting.remove(turn)
                raise
            if turn.granted:
                return

    async def _rest(self, subject: str) -> None:
        """Wait, with a turn of ours, until the source has rested as long as it has asked."""
        while True:
            rest = self._give_up_a_long_rest(subject)
            if rest <= 0:
                self._held_until = 0.0
                return
            called_off = anyio.Event()
            self._resting.add(called_off)
            try:
                with anyio.move_on_after(rest):
                    await called_off.wait()
            finally:
                self._resting.remove(called_off)

    def _give_up_a_long_rest(self, subject: str) -> float:
        """Seconds that the source wants to rest. RetryableError if that is too long to wait."""
        rest = min(self._held_until - time.monotonic(), MAX_RETRY_AFTER)
        if rest > self._retries.longest_asked:
            raise RetryableError(
                subject, f"the source asks to be left alone for {rest:,.0f} s", retry_after=rest
            )
        return rest
