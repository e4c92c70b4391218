"""The moods of an overloaded server: how late it answers, and what it refuses."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from msgspec import Struct

#: How much worse it gets beyond the knee: with twice as many at once each takes 2.8 times as long,
#: so that 0.7 times as many are answered.
STEEPNESS = 1.5
#: Seconds between two looks at the requests in flight.
LOOK = 0.05


class Mood(Struct, frozen=True):
    """How a server takes load.

    latency: seconds for an answer while it is well. knees: requests at once beyond which it slows
    down, each for an equal part of the documents; none if it never does. rate: requests a second
    beyond which it answers 429. documents: how many show it within ten seconds. fixed: concurrency
    among which the best is.
    """

    says: str
    latency: float
    documents: int
    fixed: tuple[int, ...]
    knees: tuple[int, ...] = ()
    rate: int | None = None

    def seconds(self, in_flight: int, progress: float) -> float:
        """For one answer. progress: the share of the documents that are acknowledged."""
        if not self.knees:
            return self.latency
        knee = self.knees[min(int(progress * len(self.knees)), len(self.knees) - 1)]
        worse: float = max(1.0, in_flight / knee) ** STEEPNESS
        return self.latency * worse

    @property
    def capacity(self) -> float:
        """Documents a second, of two requests each, of a client that asks just enough."""
        if self.rate is not None:
            return self.rate / 2
        return len(self.knees) / sum(2 * self.latency / knee for knee in self.knees)


MOODS = {
    "slow-20": Mood("slows down beyond 20 at once", 0.05, 1_000, (10, 20, 40), (20,)),
    "slow-200": Mood("slows down beyond 200 at once", 0.4, 2_000, (100, 200, 400), (200,)),
    "refuses-50": Mood("answers 429 above 50 a second", 0.05, 200, (2, 3, 6), rate=50),
    "changes": Mood(
        "slows down beyond 100, then 25, then 100", 0.2, 900, (25, 50, 100), (100, 25, 100)
    ),
}


class Behaviour(Struct, frozen=True):
    """What a server saw. samples: seconds since the first request, and requests in flight."""

    requests: int
    refused: int
    most: int
    samples: list[tuple[float, int]]


class Overload:
    """Counts requests, and answers each as late as the mood says, or not at all."""

    def __init__(self, mood: Mood) -> None:
        self._mood = mood
        self._in_flight = self._requests = self._refused = self._most = 0
        self._accepted: deque[float] = deque()
        self._samples: list[tuple[float, int]] = []
        self._began: float | None = None

    async def answered(self, progress: float) -> bool:
        """Wait for as long as an answer takes. False if it is a refusal."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        self._requests += 1
        if not self._accepts(now):
            self._refused += 1
            return False
        self._in_flight += 1
        self._most = max(self._most, self._in_flight)
        try:
            await asyncio.sleep(self._mood.seconds(self._in_flight, progress))
        finally:
            self._in_flight -= 1
        return True

    def _accepts(self, now: float) -> bool:
        if self._mood.rate is None:
            return True
        while self._accepted and self._accepted[0] <= now - 1:
            self._accepted.popleft()
        if len(self._accepted) >= self._mood.rate:
            return False
        self._accepted.append(now)
        return True

    async def watch(self) -> None:
        """Note the requests in flight, from the first one on."""
        while True:
            await asyncio.sleep(LOOK)
            if self._began is not None:
                self._samples.append((time.monotonic() - self._began, self._in_flight))

    def behaviour(self) -> Behaviour:
        """What it saw so far."""
        return Behaviour(self._requests, self._refused, self._most, self._samples)
