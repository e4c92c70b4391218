"""Places: which company holds how many of a source's requests in flight, and since when.

A company begins with one place and gets one more with each answer that comes in time; it leaves one
to the others. Those whose requests are late leave one together, and try one request at a time. So a
platform that hangs for some companies hangs for them alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from pipeline.behalf import LATE


class Holder(Protocol):
    """A request that holds a place."""

    def give_up(self) -> None:
        """End it: it fails for now, and is tried again later."""


class Places:
    """The places that are taken on behalf of companies; all others do not count here.

    A company is given by its identifier, "" for none. Times are those of time.monotonic().
    """

    def __init__(self) -> None:
        #: Since when each request holds its place, the oldest one first.
        self._held: dict[str, dict[Holder, float]] = {}
        #: How many answers each company has had since the last one that was late.
        self._earned: dict[str, int] = {}

    @property
    def has_companies(self) -> bool:
        """Whether a company has any."""
        return bool(self._held)

    def may_take(self, company: str, places: int, now: float) -> bool:
        """Whether a company may take one more of so many places. It may always have one."""
        own = self._held.get(company)
        if not own:
            return True
        if now - next(iter(own.values())) < LATE:
            return len(own) <= self._earned.get(company, 0) and len(own) < places - 1
        if any(now - since < LATE for since in own.values()):
            return False
        late = (one for one in self._held.values() if now - next(iter(one.values())) >= LATE)
        return sum(map(len, late)) < places - 1

    def take(self, company: str, holder: Holder | None, now: float) -> None:
        """Note who holds a place from now on."""
        if not company or holder is None:
            return
        held = self._held.get(company)
        if held is None:
            held = self._held[company] = {}
        held[holder] = now

    def renew(self, company: str, holder: Holder | None, now: float) -> None:
        """Note that one who holds a place makes use of it only from now on."""
        if company and holder is not None:
            held = self._held[company]
            # The latest one is the last.
            del held[holder]
            held[holder] = now

    def leave(self, company: str, holder: Holder | None, now: float) -> None:
        """Note that a place is given back."""
        if not company or holder is None:
            return
        held = self._held[company]
        is_late = now - held.pop(holder) >= LATE
        self._earned[company] = 0 if is_late else self._earned.get(company, 0) + 1
        if not held:
            del self._held[company]

    def late(self, now: float) -> int:
        """How many requests of companies are late."""
        return sum(now - since >= LATE for one in self._held.values() for since in one.values())

    def to_give_up(self, now: float) -> Holder | None:
        """The latest of those of the company that holds most places; None if each has only one."""
        held = max(self._held.values(), key=len, default=None)
        if held is None or len(held) < 2:
            return None
        holder, since = list(held.items())[-1]
        return holder if now - since >= LATE else None


WaiterT = TypeVar("WaiterT")


class Turns(Generic[WaiterT]):
    """Those who wait for a place: the companies by turns, and the waiters of each in order."""

    def __init__(self) -> None:
        #: Of each company that waits; it is read, and changed by the methods alone.
        self.lines: dict[str, deque[WaiterT]] = {}

    def add(self, company: str, waiter: WaiterT) -> None:
        """Have one wait behind the others of its company."""
        line = self.lines.get(company)
        if line is None:
            line = self.lines[company] = deque()
        line.append(waiter)

    def remove(self, company: str, waiter: WaiterT) -> None:
        """Have one wait no longer; does nothing if it does not wait."""
        line = self.lines.get(company)
        if line is not None and waiter in line:
            line.remove(waiter)
            if not line:
                del self.lines[company]

    def next(self, may_take: Callable[[str], bool]) -> WaiterT | None:
        """Take the next one whose company may take a place out of the line; None if none may."""
        company = next((one for one in self.lines if may_take(one)), None)
        if company is None:
            return None
        line = self.lines.pop(company)
        waiter = line.popleft()
        if line:
            # The others have their turns before it has its next one.
            self.lines[company] = line
        return waiter

    def clear(self) -> list[WaiterT]:
        """Take all out of the line."""
        waiters = [one for line in self.lines.values() for one in line]
        self.lines.clear()
        return waiters
