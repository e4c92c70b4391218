"""Concurrency limiter: the slots in which the requests of a source are in flight, and its pauses.

How many slots there are, and how fast they are filled, is found by `congestion.py`. All requests
wait together while the source asks for a pause (Retry-After).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress

import anyio

from pipeline.errors import RetryableError
from pipeline.retry import MAX_RETRY_AFTER, RetryPolicy
from stages.sources.http.congestion import ConcurrencyLimit, Pace

#: A task that waits for a slot; the result is whether it is granted. (An anyio.Event for each would
#: cost several times as much.)
Waiter = asyncio.Future[bool]
#: Seconds until it is asked again whether the slots are still this process's.
UNSURE = 0.1


class ConcurrencyLimiter:
    """Limits the requests of one source that are in flight.

    Waiters are served in order, those that end documents (acknowledgements) and all others by
    turns: documents that are fetched and not acknowledged only take room, but while groups of them
    are acknowledged further ones must come. A slot is counted as taken from the moment in which it
    is granted to a waiter, so it can't be granted twice. A waiter that can't use its slot, because
    it is cancelled for instance, passes it on by release().

    most: slots, at most.
    """

    def __init__(self, most: int, retries: RetryPolicy) -> None:
        self._limit = ConcurrencyLimit(most)
        self._pace = Pace()
        self._retries = retries
        self._in_flight = 0
        self._fetching: deque[Waiter] = deque()
        self._ending: deque[Waiter] = deque()
        #: Whether the next slot goes to one that ends a document, if any waits.
        self._ends_next = True
        self._pauses: set[anyio.Event] = set()
        self._paused_until = 0.0
        self._refusals_in_a_row = 0
        self._is_sure: Callable[[], bool] = lambda: True

    @property
    def limit(self) -> int:
        """Requests that may be in flight at this moment."""
        return self._limit.limit

    @property
    def most(self) -> int:
        """Slots, at most; see `pipeline.throttle`."""
        return self._limit.most

    @property
    def in_flight(self) -> int:
        """Slots that are taken."""
        return self._in_flight

    @property
    def pause(self) -> float:
        """Seconds that remain of the pause that the source has asked for."""
        return max(self._paused_until - time.monotonic(), 0.0)

    def resize(self, most: int) -> None:
        """Have so many slots, at most; those that are taken beyond them are not granted again."""
        self._limit.resize(max(most, 1))
        self._grant()

    def guard(self, is_sure: Callable[[], bool]) -> None:
        """Let no request begin while a function says that the slots may be another's by now."""
        self._is_sure = is_sure

    def rest(self, seconds: float) -> None:
        """Send nothing for so long, as if the source had asked for that."""
        now = time.monotonic()
        self._paused_until = max(self._paused_until, now + min(seconds, MAX_RETRY_AFTER))
        self._wake_if_long(now)

    async def acquire(self, subject: str, *, ending: bool = False) -> None:
        """Wait for a slot; release() gives it back. ending: whether the request ends a document.

        RetryableError if the source has asked for a longer pause than `longest_asked` allows.
        """
        is_free = not self._paused_until and not self._pace.is_set and self._is_free()
        if is_free and self._is_sure():
            self._in_flight += 1
            return
        while True:
            await self._wait_for_slot(subject, ending)
            try:
                await self._pause(subject)
                while not self._is_sure():  # noqa: ASYNC110 - it is a clock that says so
                    await anyio.sleep(UNSURE)
            except BaseException:
                self.release()
                raise
            if self._in_flight <= self._limit.limit:
                return
            # The limit has fallen since the slot was granted.
            self._in_flight -= 1

    def release(self) -> None:
        """Give back the slot of a request that has ended in any way."""
        self._in_flight -= 1
        if self._ending or self._fetching:
            self._grant()

    def _grant(self) -> None:
        """Grant the slots that are free to those that wait."""
        slots = self._limit.limit
        while self._in_flight < slots and (self._ending or self._fetching):
            ends = self._ends_next if self._ending and self._fetching else bool(self._ending)
            waiter = (self._ending if ends else self._fetching).popleft()
            if not waiter.done():  # else its task has been cancelled
                self._ends_next = not ends
                self._in_flight += 1
                waiter.set_result(True)

    def record_answer(self, kind: Hashable, seconds: float) -> None:
        """Count an answer whose headers were complete so many seconds after its request.

        kind: of the request; of each kind the answers take about as long.
        """
        now = time.monotonic()
        self._refusals_in_a_row = 0
        # Those that wait for the end of a pause, or for their turn, are not on their way.
        self._limit.answered(kind, seconds, now, self._in_flight - len(self._pauses))
        self._pace.answered(now - seconds)

    def record_refusal(
        self, began: float, retry_after: float | None, *, too_fast: bool = False
    ) -> None:
        """Count a refusal by an overloaded source. retry_after: in seconds, if it states that.

        too_fast: whether it says that requests come too fast (429).
        """
        now = time.monotonic()
        if too_fast:
            self._pace.refused(began, now)
        if self._limit.refused(began, now):
            self._refusals_in_a_row += 1
        if retry_after is None:
            wait = self._retries.first_wait * 2 ** min(max(self._refusals_in_a_row - 1, 0), 16)
            retry_after = min(wait, self._retries.longest_wait)
        self._paused_until = max(self._paused_until, now + min(retry_after, MAX_RETRY_AFTER))
        self._wake_if_long(now)

    def _wake_if_long(self, now: float) -> None:
        if self._paused_until - now > self._retries.longest_asked:
            # That is too long to wait: wake all waiters, so that they raise RetryableError.
            for waiters in (self._ending, self._fetching):
                while waiters:
                    if not (waiter := waiters.popleft()).done():
                        waiter.set_result(False)
            for cancelled in self._pauses:
                cancelled.set()

    def record_timeout(self, began: float) -> None:
        """Count a request that began then and was not answered in time."""
        self._limit.refused(began, time.monotonic())

    def _is_free(self) -> bool:
        """Whether there is a slot for which nobody waits."""
        return self._in_flight < self._limit.limit and not self._ending and not self._fetching

    async def _wait_for_slot(self, subject: str, ending: bool) -> None:
        """Wait until a slot is granted."""
        waiters = self._ending if ending else self._fetching
        while True:
            self._remaining_pause(subject)
            if self._is_free():
                self._in_flight += 1
                return
            waiter: Waiter = asyncio.get_running_loop().create_future()
            waiters.append(waiter)
            try:
                if await waiter:
                    return
            except BaseException:
                if waiter.cancelled():
                    with suppress(ValueError):  # unless somebody has passed it over meanwhile
                        waiters.remove(waiter)
                elif waiter.result():
                    self.release()
                raise

    async def _pause(self, subject: str) -> None:
        """Wait, holding a slot, until the source's pause is over and it is the request's turn."""
        turn: float | None = None
        while True:
            wait = self._remaining_pause(subject)
            if wait > 0:
                # After a pause all would have their turns at once.
                turn = None
            else:
                self._paused_until = 0.0
                now = time.monotonic()
                turn = self._pace.reserve(now) if turn is None else turn
                wait = turn - now
                if wait <= 0:
                    return
            cancelled = anyio.Event()
            self._pauses.add(cancelled)
            try:
                with anyio.move_on_after(wait):
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
