"""Congestion control: how many requests a source gets at once, and how fast they follow each other.

Both are found by what the source answers. The objects here know no event loop, no socket and no
clock: the caller says what time it is, in seconds by the monotonic clock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Mapping

#: Requests at once to begin with. Answers that become slow never make it fewer; refusals do.
START = 8
#: Answers by which a limit is judged, at least.
SAMPLES = 16
#: Answers of one kind by which its usual latency is judged.
KIND_SAMPLES = 4
#: An answer is slow if it takes longer than this multiple of the usual latency, and this many
#: seconds besides: so long may it lie in our own event loop.
TOLERANCE = 1.1
OWN_DELAY = 0.01
#: No answer counts for more than this multiple of the usual latency.
OUTLIER = 4.0
#: Weight of the latest answers in the usual latency.
BASE_WEIGHT = 1 / 8
#: Judgements in a row by which answers are slow before the usual latency is measured anew; and how
#: many one counts for that has no fewer requests to offer.
MEASURE_AGAIN = 40
AT_LEAST = 5
#: The limit is multiplied by this when the source refuses, and at least by it when it is slow.
SHARE_AFTER_REFUSAL = 0.5
#: Seconds after which the limit is back where it was refused.
LIMIT_BACK = 10.0

#: The pace is multiplied by this when the source refuses.
PACE_AFTER_REFUSAL = 0.9
#: Seconds after which the pace is back where it was refused: where that was for the rate, and where
#: it may have been.
PACE_BACK = 20.0
PACE_TRIED = 0.5
#: Rates at which requests are refused are the same if one is at least this share of the other.
ALIKE = 0.8
#: How often in a row the same rate is refused where that is for the rate: twice; more often if it
#: is so low that it may be the same by chance.
TWICE, OFTEN = 2, 4
LOW_RATE = 20
#: Requests a second above which there is no pace.
NO_PACE = 1000


class Cubic:
    """The way back after a refusal, by the curve of CUBIC (RFC 9438, section 4.2).

    It begins at `start`, is back at `refused` after some seconds, stays near it for as long again,
    and goes beyond it ever faster: a source that has changed its mind is found out soon, and one
    that has not is rarely asked.
    """

    def __init__(self, refused: float, start: float, since: float, seconds: float) -> None:
        self.refused = refused
        self._step = refused - start
        self._since = since
        self._seconds = seconds

    def at(self, now: float) -> float:
        """The value at this moment."""
        return self.refused + self._step * ((now - self._since) / self._seconds - 1) ** 3


class _Window:
    """The answers to requests that were all sent under the same limit.

    size: how many are enough. busiest: requests that were in flight, at most. latencies: number
    and seconds of the answers, by their kind.
    """

    def __init__(self, began: float, size: float) -> None:
        self.began = began
        self.size = size
        self.count = 0
        self.busiest = 0
        self.latencies: dict[Hashable, list[float]] = {}

    def means(self) -> dict[Hashable, float]:
        """The mean latency of each kind that has answers enough."""
        return {
            kind: seconds / count
            for kind, (count, seconds) in self.latencies.items()
            if count >= KIND_SAMPLES
        }

    def compared(self, usual: Mapping[Hashable, float]) -> tuple[float, float, float]:
        """The seconds that its answers would usually take, those that they took, and their number.

        usual: the latency of each kind that is known; others are left out.
        """
        known = {kind: sums for kind, sums in self.latencies.items() if kind in usual}
        return (
            sum(usual[kind] * count for kind, (count, _) in known.items()),
            sum(seconds for _, seconds in known.values()),
            sum(count for count, _ in known.values()),
        )


class ConcurrencyLimit:
    """How many requests may be in flight: a gradient limit (Netflix, concurrency-limits).

    It doubles while all answers are as fast as with few requests in flight, as TCP does in slow
    start. Once they become slow it is in proportion to the latency that is usual, with some room
    (a square root) to grow: more requests would only wait, wherever that is. A refusal or a timeout
    halves it; from there it comes back on a Cubic curve. It does not grow while it is not used.

    Kinds of requests, such as fetches and acknowledgements, may take differently long; each has a
    usual latency of its own, the mean while answers are not slow. If they stay slow, it is measured
    anew under half of the limit, because the source may have become slower for good.

    most: it is never above this.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._least = self._found = float(min(START, most))
        self._doubling = True
        self._usual: dict[Hashable, float] = {}
        self._window = _Window(-math.inf, SAMPLES)
        #: Judgements in a row by which answers are slow.
        self._slow = 0
        #: The limit to return to when the usual latency has been measured.
        self._before_measuring = 0.0
        self._back: Cubic | None = None
        self._refused_at = -math.inf
        self._answered = True

    @property
    def limit(self) -> int:
        """Requests that may be in flight at this moment."""
        return int(self._found)

    def resize(self, most: int) -> None:
        """Have another bound; what was found within both of them stays."""
        self.most = most
        self._least = float(min(START, most))
        self._found = min(max(self._found, self._least if self._back is None else 0.0), most)
        self._before_measuring = min(self._before_measuring, most)

    def answered(self, kind: Hashable, seconds: float, now: float, in_flight: int) -> None:
        """Count an answer that came now, whose headers were complete after so many seconds.

        in_flight: how many requests are, this one among them.
        """
        window = self._window
        if now - seconds < window.began:
            return
        self._answered = True
        window.count += 1
        window.busiest = max(window.busiest, in_flight)
        sums = window.latencies.get(kind)
        if sums is None:
            sums = window.latencies[kind] = [0, 0.0]
        sums[0] += 1
        if (usual := self._usual.get(kind)) is not None and not self._before_measuring:
            seconds = min(seconds, OUTLIER * usual)
        sums[1] += seconds
        if window.count >= window.size:
            self._judge(window, now)

    def refused(self, sent: float, now: float) -> bool:
        """Count a refusal, or a timeout, of a request that was sent then; whether it counts.

        A request from before the last one that counts says nothing about the present limit.
        """
        if sent < self._refused_at:
            return False
        refused = max(self._found, START)
        if self._back is not None and not self._answered:
            # Where nothing is answered at all the source is out of order, whatever the limit.
            refused = self._back.refused
        self._refused_at = now
        self._doubling = self._answered = False
        self._before_measuring = 0.0
        limit = max(self._found * SHARE_AFTER_REFUSAL, 1.0)
        self._back = Cubic(refused, limit, now, LIMIT_BACK)
        self._set(limit, now)
        return True

    def _judge(self, window: _Window, now: float) -> None:
        """Set the limit by the answers of a window."""
        if self._before_measuring:
            self._usual |= window.means()
            limit, self._before_measuring, self._slow = self._before_measuring, 0.0, 0
            # Where few were too many by the old measure, nothing is known by the new one.
            self._doubling = limit <= self._least
            self._set(limit, now)
            return
        gradient = self._gradient(window)
        self._learn(window)
        if gradient >= 1:
            self._slow = 0
        limit = self._found
        if window.busiest >= int(limit):
            self._doubling = self._doubling and gradient >= 1
            if self._doubling:
                limit *= 2
            else:
                slower = max(gradient, SHARE_AFTER_REFUSAL) * limit + math.sqrt(limit)
                limit = max(slower, min(limit, self._least))
            if gradient < 1:
                self._slow += 1 if self._found > self._least else AT_LEAST
            if self._slow >= MEASURE_AGAIN:
                self._before_measuring, limit = limit, limit / 2
        self._set(limit, now)

    def _gradient(self, window: _Window) -> float:
        """The latency that is tolerated, divided by that of the window, and at most 1."""
        usual, actual, known = window.compared(self._usual)
        return min((TOLERANCE * usual + OWN_DELAY * known) / actual, 1.0) if known else 1.0

    def _learn(self, window: _Window) -> None:
        """Take the latencies of a window into the usual ones, unless they are slow.

        A kind that is new among slow answers is as slow as they are.
        """
        usual, actual, known = window.compared(self._usual)
        share = min(usual / actual, 1.0) if known else 1.0
        for kind, mean in window.means().items():
            before = self._usual.get(kind, mean * share)
            if mean <= before * TOLERANCE:
                before += (mean - before) * BASE_WEIGHT
            self._usual[kind] = before

    def _set(self, limit: float, now: float) -> None:
        """Set the limit, within its bounds, and begin to count the answers under it."""
        if self._back is not None:
            back = self._back.at(now)
            limit = min(limit, back)
            if back >= self.most:
                self._back = None
        self._found = min(max(limit, 1.0), self.most)
        self._window = _Window(now, max(self._found, SAMPLES))


class Pace:
    """How fast requests follow each other: as fast as they like, unless the source limits the rate.

    Such a source (429, RFC 6585, section 4) may answer so fast that a single request at a time is
    too many. After a refusal requests are spaced to stay below the rate that it accepted in the
    second before, and come back to it on a Cubic curve: within a second at first, for it may have
    had another reason; slowly once it has refused at the same rate again.
    """

    def __init__(self) -> None:
        self._curve: Cubic | None = None
        self._next = -math.inf
        #: When those requests were sent that were accepted lately.
        self._accepted: deque[float] = deque(maxlen=NO_PACE)
        self._refused_at = -math.inf
        #: When the requests were sent whose refusals are to be judged, and were judged last.
        self._unjudged: float | None = None
        self._judged = -math.inf
        #: The rate that was refused, and how often in a row.
        self._rate = 0
        self._times = 0

    @property
    def is_set(self) -> bool:
        """Whether requests have to keep a distance."""
        return self._curve is not None

    def answered(self, sent: float) -> None:
        """Count an answer, other than a refusal, to a request that was sent then."""
        self._accepted.append(sent)

    def refused(self, sent: float, now: float) -> None:
        """Count a refusal of a request that was sent then."""
        if sent >= self._refused_at:
            self._judge()
            self._unjudged, self._refused_at = sent, now

    def reserve(self, now: float) -> float:
        """The moment in which the next request may be sent; the one after it has a later one."""
        self._judge()
        if self._curve is None:
            return now
        rate = self._curve.at(now)
        if rate > NO_PACE:
            self._curve = None
            return now
        # A loop that is late may catch up, by one request.
        self._next = max(self._next, now - 1 / rate) + 1 / rate
        return self._next

    def _judge(self) -> None:
        """Find out what the last refusal says, now that what was sent before it is answered."""
        if self._unjudged is None:
            return
        sent, self._unjudged = self._unjudged, None
        # Where nothing was accepted in between, the source is out of order, whatever the rate.
        fresh = any(self._judged < one <= sent for one in self._accepted)
        self._judged = sent
        if not fresh:
            return
        rate = max(sum(sent - 1 < one <= sent for one in self._accepted), 1)
        is_alike = min(rate, self._rate) >= ALIKE * max(rate, self._rate)
        self._times = self._times + 1 if is_alike else 1
        self._rate = rate
        if rate >= NO_PACE:
            self._curve = None
            return
        is_sure = self._times >= (OFTEN if rate < LOW_RATE else TWICE)
        if not is_sure:
            rate = max(rate, LOW_RATE)
        back = PACE_BACK if is_sure else PACE_TRIED
        self._curve = Cubic(rate, rate * PACE_AFTER_REFUSAL, self._refused_at, back)
