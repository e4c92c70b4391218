"""Concurrency limiter: the slots in which the requests of a source are in flight, and its pauses.

How many slots there are, and how fast they are filled, is found by `congestion.py`; whose they are,
where a source has several companies, is held in `places.py`. All requests wait together while the
source asks for a pause (Retry-After).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable

import anyio

from pipeline.behalf import LATE, company_at_work
from pipeline.errors import RetryableError
from pipeline.retry import MAX_RETRY_AFTER, RetryPolicy
from stages.sources.http.congestion import ConcurrencyLimit, Pace
from stages.sources.http.places import Holder, Places, Turns

#: Seconds between two looks at who is late, while anybody waits.
LOOK = LATE / 5


class Waiter:
    """A request that waits for a slot. granted: whether it is. company: on whose behalf it is made.

    (An anyio.Event for each would cost several times as much as a future.)
    """

    __slots__ = ("company", "granted", "holder")

    def __init__(self, granted: asyncio.Future[bool], company: str, holder: Holder | None) -> None:
        self.granted = granted
        self.company = company
        self.holder = holder


class ConcurrencyLimiter:
    """Limits the requests of one source that are in flight.

    Waiters are served in order, company by company, those that end documents (acknowledgements) and
    all others by turns: documents that are fetched and not acknowledged only take room, but while
    groups of them are acknowledged further ones must come. A slot is counted as taken from the
    moment in which it is granted to a waiter, so it can't be granted twice. A waiter that can't use
    its slot, because it is cancelled for instance, passes it on by release().

    Of several companies (`company_at_work`) each leaves a slot to the others, as `Places` says. If
    all slots are held by late requests nevertheless, the company that holds most of them gives one
    up.

    most: slots, at most. places: of all limiters whose requests go by the same connections.
    """

    def __init__(self, most: int, retries: RetryPolicy, places: Places | None = None) -> None:
        self._most = most
        self._limit = ConcurrencyLimit(most)
        self._pace = Pace()
        self._retries = retries
        self._in_flight = 0
        self._places = places if places is not None else Places()
        self._fetching: Turns[Waiter] = Turns()
        self._ending: Turns[Waiter] = Turns()
        #: Looks again at who is late.
        self._looking: asyncio.TimerHandle | None = None
        #: How many requests of companies were late when it last looked.
        self._late = 0
        #: Whether a slot is free that nobody may take who waits.
        self._spares = False
        #: Whose answer came last, and when.
        self._answered = ("", 0.0)
        #: Whether the next slot goes to one that ends a document, if any waits.
        self._ends_next = True
        self._pauses: set[anyio.Event] = set()
        self._paused_until = 0.0
        self._refusals_in_a_row = 0

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
        self._most = max(most, 1)
        self._limit.resize(self._most)
        self._serve()

    def rest(self, seconds: float) -> None:
        """Send nothing for so long, as if the source had asked for that."""
        now = time.monotonic()
        self._paused_until = max(self._paused_until, now + min(seconds, MAX_RETRY_AFTER))
        self._wake_if_long(now)

    async def acquire(
        self, subject: str, holder: Holder | None = None, *, ending: bool = False
    ) -> str:
        """Wait for a slot; release() gives it back. ending: whether the request ends a document.

        holder: the request; one without is nobody's. Returns the company on whose behalf it is.
        RetryableError if the source has asked for a longer pause than `longest_asked` allows.
        """
        company = company_at_work.get() if holder is not None else ""
        if not self._paused_until and not self._pace.is_set and self._is_free(company):
            self._take(company, holder)
            return company
        while True:
            await self._wait_for_slot(company, holder, subject, ending)
            try:
                if await self._pause(subject):
                    # It was not on its way meanwhile.
                    self._places.renew(company, holder, time.monotonic())
            except BaseException:
                self.release(company, holder)
                raise
            if self._in_flight <= self._slots():
                return company
            # The limit has fallen since the slot was granted.
            self._in_flight -= 1
            self._places.leave(company, holder, time.monotonic())

    def release(self, company: str = "", holder: Holder | None = None) -> None:
        """Give back the slot of a request that has ended in any way; as acquire() gave it."""
        self._in_flight -= 1
        self._places.leave(company, holder, time.monotonic())
        if self._ending.lines or self._fetching.lines:
            self._serve()

    def record_answer(self, kind: Hashable, seconds: float) -> None:
        """Count an answer whose headers were complete so many seconds after its request.

        kind: of the request; of each kind the answers take about as long.
        """
        now = time.monotonic()
        self._refusals_in_a_row = 0
        # Those that wait for the end of a pause, or for their turn, are not on their way.
        in_flight = self._in_flight - len(self._pauses) + self._spares
        self._limit.answered(kind, seconds, now, in_flight)
        self._answered = (company_at_work.get(), now)
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
            for waiter in (*self._ending.clear(), *self._fetching.clear()):
                if not waiter.granted.done():
                    waiter.granted.set_result(False)
            for cancelled in self._pauses:
                cancelled.set()

    def record_timeout(self, began: float) -> None:
        """Count a request that began then and was not answered in time.

        Where another company has been answered meanwhile, that says nothing about the source.
        """
        who, when = self._answered
        if when <= began or who == company_at_work.get():
            self._limit.refused(began, time.monotonic())

    def _slots(self) -> int:
        """Slots at this moment. Late requests of companies take none from the limit, if it can."""
        limit = self._limit.limit
        return min(limit + self._late, self._most) if self._late else limit

    def _is_free(self, company: str) -> bool:
        """Whether there is a slot for a company, for which nobody waits."""
        slots = self._limit.limit
        if self._in_flight >= slots or self._ending.lines or self._fetching.lines:
            return False
        return not company or self._places.may_take(company, slots, time.monotonic())

    def _take(self, company: str, holder: Holder | None) -> None:
        self._in_flight += 1
        self._places.take(company, holder, time.monotonic())

    def _serve(self) -> None:
        """Grant the free slots to those that wait, as far as they may take them."""
        slots, now = self._slots(), time.monotonic()

        def may_take(company: str) -> bool:
            return self._places.may_take(company, slots, now)

        while self._in_flight < slots and (self._ending.lines or self._fetching.lines):
            order = (self._ending, self._fetching)
            first, second = order if self._ends_next else order[::-1]
            granted, waiter = first, first.next(may_take)
            if waiter is None:
                granted, waiter = second, second.next(may_take)
            if waiter is None:
                self._spares = True
                return
            if not waiter.granted.done():  # else its task has been cancelled
                if self._ending.lines or self._fetching.lines:
                    self._ends_next = granted is self._fetching
                self._in_flight += 1
                self._places.take(waiter.company, waiter.holder, now)
                waiter.granted.set_result(True)
        self._spares = False

    def _look(self) -> None:
        """See who is late, and let those that wait have what the late ones must not have."""
        self._looking = None
        now = time.monotonic()
        self._late = 0
        if not (self._ending.lines or self._fetching.lines):
            return
        self._late = self._places.late(now)
        if self._in_flight >= self._most and self._late >= self._in_flight:
            victim = self._places.to_give_up(now)
            if victim is not None:
                victim.give_up()
        self._serve()
        self._look_later()

    def _look_later(self) -> None:
        if self._looking is None and (self._ending.lines or self._fetching.lines):
            self._looking = asyncio.get_running_loop().call_later(LOOK, self._look)

    async def _wait_for_slot(
        self, company: str, holder: Holder | None, subject: str, ending: bool
    ) -> None:
        """Wait until a slot is granted."""
        waiters = self._ending if ending else self._fetching
        while True:
            self._remaining_pause(subject)
            if self._is_free(company):
                self._take(company, holder)
                return
            granted = asyncio.get_running_loop().create_future()
            waiter = Waiter(granted, company, holder)
            waiters.add(company, waiter)
            if company or self._places.has_companies:
                self._serve()
                self._look_later()
            try:
                if await granted:
                    return
            except BaseException:
                if granted.cancelled():
                    waiters.remove(company, waiter)
                elif granted.result():
                    self.release(company, holder)
                raise

    async def _pause(self, subject: str) -> bool:
        """Wait, holding a slot, until the source's pause is over and it is the request's turn.

        Returns whether it has waited at all.
        """
        turn: float | None = None
        has_waited = False
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
                    return has_waited
            has_waited = True
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
