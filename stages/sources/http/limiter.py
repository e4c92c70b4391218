"""AIMD concurrency limiter: bounds how many requests of a source are in flight.

Additive increase, multiplicative decrease, as in TCP (RFC 5681, 3.1): the limit grows slowly while
the source answers well, and shrinks when it refuses, times out or becomes slow. All requests wait
together while the source asks for a pause (Retry-After).
"""

from __future__ import annotations

import time
from collections import deque

import anyio

from pipeline.errors import RetryableError
from pipeline.retry import MAX_RETRY_AFTER, RetryPolicy

#: An answer is slow if it takes longer than this in seconds, and than this multiple of the mean.
SLOW_SECONDS = 1.0
SLOW_FACTOR = 4.0
#: Weight of the latest answer in the moving mean of the seconds that answers take.
MEAN_WEIGHT = 1 / 16
#: The limit is multiplied by this when the source refuses, and when it only becomes slow.
SHARE_AFTER_REFUSAL = 0.5
SHARE_AFTER_SLOW_ANSWER = 0.75


class Waiter:
    """A task that waits for a slot.

    woken: set when the task has to act. granted: whether it has been given a slot.
    """

    def __init__(self) -> None:
        self.woken = anyio.Event()
        self.granted = False


class ConcurrencyLimiter:
    """Limits the requests of one source that are in flight. Waiters are served in order.

    A slot is counted as taken from the moment in which it is granted to a waiter, so it can't be
    granted twice. A waiter that can't use its slot, because it is cancelled for instance, passes
    it on by release().

    max_limit: the limit to begin with, which is never exceeded.
    """

    def __init__(self, max_limit: int, retries: RetryPolicy) -> None:
        self.max_limit = max_limit
        self.limit = float(max_limit)
        self._retries = retries
        self._in_flight = 0
        self._waiters: deque[Waiter] = deque()
        self._pauses: set[anyio.Event] = set()
        self._paused_until = 0.0
        self._reduced_at = 0.0
        self._refusals_in_a_row = 0
        self._mean_seconds = 0.0

    async def acquire(self, subject: str) -> None:
        """Wait for a slot; release() gives it back.

        RetryableError if the source has asked for a longer pause than `longest_asked` allows.
        """
        if not self._paused_until and not self._waiters and self._in_flight < int(self.limit):
            self._in_flight += 1
            return
        while True:
            await self._wait_for_slot(subject)
            try:
                await self._pause(subject)
            except BaseException:
                self.release()
                raise
            if self._in_flight <= int(self.limit):
                return
            # The limit has fallen since the slot was granted.
            self._in_flight -= 1

    def release(self) -> None:
        """Give back the slot of a request that has ended in any way."""
        self._in_flight -= 1
        while self._waiters and self._in_flight < int(self.limit):
            waiter = self._waiters.popleft()
            waiter.granted = True
            self._in_flight += 1
            waiter.woken.set()

    def record_answer(self, began: float) -> None:
        """Count an answer to a request that began then, by the monotonic clock."""
        now = time.monotonic()
        seconds = now - began
        self._refusals_in_a_row = 0
        if seconds > SLOW_SECONDS and seconds > SLOW_FACTOR * self._mean_seconds > 0:
            self._reduce(SHARE_AFTER_SLOW_ANSWER, began, now)
        elif self.limit < self.max_limit:
            self.limit = min(self.limit + 1 / self.limit, self.max_limit)
        self._mean_seconds += (seconds - self._mean_seconds) * (
            MEAN_WEIGHT if self._mean_seconds else 1
        )

    def record_refusal(self, began: float, retry_after: float | None) -> None:
        """Count a refusal by an overloaded source. retry_after: in seconds, if it states that."""
        now = time.monotonic()
        if self._reduce(SHARE_AFTER_REFUSAL, began, now):
            self._refusals_in_a_row += 1
        if retry_after is None:
            wait = self._retries.first_wait * 2 ** min(max(self._refusals_in_a_row - 1, 0), 16)
            retry_after = min(wait, self._retries.longest_wait)
        self._paused_until = max(self._paused_until, now + min(retry_after, MAX_RETRY_AFTER))
        if self._paused_until - now > self._retries.longest_asked:
            # That is too long to wait: wake all waiters, so that they raise RetryableError.
            while self._waiters:
                self._waiters.popleft().woken.set()
            for cancelled in self._pauses:
                cancelled.set()

    def record_timeout(self, began: float) -> None:
        """Count a request that began then and was not answered in time."""
        self._reduce(SHARE_AFTER_REFUSAL, began, time.monotonic())

    def _reduce(self, share: float, began: float, now: float) -> bool:
        # A request from before the last reduction says nothing about the present limit. Windows'
        # clock stands still for some 16 ms, so one that began at the same time does not either.
        if began <= self._reduced_at:
            return False
        self._reduced_at = now
        self.limit = max(self.limit * share, 1.0)
        return True

    async def _wait_for_slot(self, subject: str) -> None:
        """Wait until a slot is granted."""
        while True:
            self._remaining_pause(subject)
            if not self._waiters and self._in_flight < int(self.limit):
                self._in_flight += 1
                return
            waiter = Waiter()
            self._waiters.append(waiter)
            try:
                await waiter.woken.wait()
            except BaseException:
                if waiter.granted:
                    self.release()
                elif not waiter.woken.is_set():
                    self._waiters.remove(waiter)
                raise
            if waiter.granted:
                return

    async def _pause(self, subject: str) -> None:
        """Wait, holding a slot, until the pause that the source has asked for is over."""
        while True:
            pause = self._remaining_pause(subject)
            if pause <= 0:
                self._paused_until = 0.0
                return
            cancelled = anyio.Event()
            self._pauses.add(cancelled)
            try:
                with anyio.move_on_after(pause):
                    await cancelled.wait()
            finally:
                self._pauses.remove(cancelled)

    def _remaining_pause(self, subject: str) -> float:
        """Seconds that remain of the pause. RetryableError if they are too many to wait."""
        pause = min(self._paused_until - time.monotonic(), MAX_RETRY_AFTER)
        if pause > self._retries.longest_asked:
            raise RetryableError(
                subject, f"the source asks for a pause of {pause:,.0f} s", retry_after=pause
            )
        return pause
