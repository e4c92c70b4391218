"""Observer: one snapshot of a running engine, for status, metrics and benchmarks.

It stands beside the engine: a snapshot reads what the engine counts anyway, in a few microseconds,
and changes nothing. All of it lives on the event loop's thread.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct, structs

from pipeline.engine.acknowledger import Acknowledger
from pipeline.engine.breaker import Breaker, BreakerState
from pipeline.engine.counters import Counters, RunCounters, StageCounters
from pipeline.engine.in_flight import InFlight
from pipeline.engine.queue import Queue
from pipeline.engine.runner import StageRunner
from pipeline.errors import SynqupError
from pipeline.hints import HintOutcome


class QueueSnapshot(Struct, frozen=True):
    """A queue, with what has been taken from it and is not done.

    documents and bytes (of memory) are within max_documents and max_bytes, except that a single
    document may be larger, and that what the sources have been admitted for is taken in: render of
    several sources, and acknowledgements, whose bound is that of each source. finished: how many
    documents have left it so far.
    """

    documents: int
    bytes: int
    max_documents: int
    max_bytes: int
    finished: int = 0


class StageSnapshot(Struct, frozen=True):
    """One stage. workers: how many work or wait for documents; counters: see StageCounters."""

    workers: int
    queue: QueueSnapshot
    counters: StageCounters


class PollSnapshot(Struct, frozen=True):
    """The polls of one source in this run. Times are in seconds since 1970.

    began_at: of the latest poll. ended_at: of the latest that has come to an end, which failed if
    `error` says why. succeeded_at: of the latest that has not failed. Each is None before the first
    one; a poll that was cancelled has no end. pages: of lists that have been read in all polls.
    polling: whether a poll is under way. failing_since: when the first one failed since then; None
    unless `error` says why. reason, remedy: the parts of `error`, without its subject.
    """

    began_at: float | None = None
    ended_at: float | None = None
    succeeded_at: float | None = None
    error: str = ""
    pages: int = 0
    polling: bool = False
    failing_since: float | None = None
    reason: str = ""
    remedy: str = ""


class SourceSnapshot(Struct, frozen=True):
    """One source. reason: why its breaker is open, else empty. counters: of its documents.

    hints: how many there were in this run, by what became of them.
    """

    in_flight: int
    breaker: BreakerState
    reason: str
    poll: PollSnapshot
    counters: Counters
    hints: Mapping[HintOutcome, int] = {}


class Snapshot(Struct, frozen=True):
    """A running engine at one moment; msgspec encodes it as JSON.

    at: seconds since 1970. uptime: seconds since the engine was made. stages: in their order, by
    their names. sources: by their names, all that have been polled or have had documents.
    """

    at: float
    uptime: float
    counters: Counters
    stages: dict[str, StageSnapshot]
    acknowledgements: QueueSnapshot
    sources: dict[str, SourceSnapshot]


class Observer:
    """Takes snapshots of one engine, and notes the polls of its sources."""

    def __init__(
        self,
        runners: Sequence[StageRunner],
        acknowledger: Acknowledger,
        in_flight: InFlight,
        breaker: Breaker,
        counters: RunCounters,
    ) -> None:
        self._runners = runners
        self._acknowledger = acknowledger
        self._in_flight = in_flight
        self._breaker = breaker
        self._counters = counters
        self._polls: dict[str, PollSnapshot] = {}
        self._hints: defaultdict[str, Counter[HintOutcome]] = defaultdict(Counter)
        self._began = time.monotonic()

    @contextmanager
    def polling(self, source: str) -> Iterator[None]:
        """Note that a source is polled while the block runs; a SynqupError is its failure."""
        self._note(source, began_at=time.time(), polling=True)
        try:
            yield
        except SynqupError as error:
            self.poll_failed(source, error)
            raise
        else:
            now = time.time()
            self._note(
                source,
                ended_at=now,
                succeeded_at=now,
                error="",
                failing_since=None,
                reason="",
                remedy="",
            )
        finally:
            self._note(source, polling=False)

    def polled_elsewhere(self, source: str, at: float) -> None:
        """Note that other nodes have read a source through, then, in seconds since 1970."""
        self._note(source, succeeded_at=at, error="", failing_since=None, reason="", remedy="")

    def poll_failed(self, source: str, error: SynqupError) -> None:
        """Note why a source could not be read through, or not even be opened."""
        now = time.time()
        self._note(
            source,
            ended_at=now,
            error=str(error),
            failing_since=self._poll(source).failing_since or now,
            reason=error.reason,
            remedy=error.remedy,
        )

    def page_read(self, source: str) -> None:
        """Note that a page of a list of the source has been read."""
        self._note(source, pages=self._poll(source).pages + 1)

    def hinted(self, source: str, outcome: HintOutcome) -> None:
        """Note that there was a hint that the source has something new."""
        self._hints[source][outcome] += 1

    def snapshot(self) -> Snapshot:
        """The engine at this moment; what is returned does not change any more."""
        known = {*self._polls, *self._in_flight.sources(), *self._breaker.sources()}
        known |= self._counters.sources.keys() | self._hints.keys()
        return Snapshot(
            at=time.time(),
            uptime=time.monotonic() - self._began,
            counters=structs.replace(self._counters.total),
            stages={runner.stage.name: _stage(runner) for runner in self._runners},
            acknowledgements=_queue(self._acknowledger.queue),
            sources={name: self._source(name) for name in sorted(known - {""})},
        )

    def _source(self, name: str) -> SourceSnapshot:
        in_flight = self._in_flight.count(name)
        reason = self._breaker.open_reason(name, idle=not in_flight)
        return SourceSnapshot(
            in_flight=in_flight,
            breaker=self._breaker.state(name, idle=not in_flight),
            reason=str(reason or ""),
            poll=self._poll(name),
            counters=structs.replace(self._counters.sources.get(name, Counters())),
            hints=dict(self._hints.get(name, {})),
        )

    def _poll(self, source: str) -> PollSnapshot:
        return self._polls.get(source, PollSnapshot())

    def _note(self, source: str, **changes: object) -> None:
        self._polls[source] = structs.replace(self._poll(source), **changes)


def _stage(runner: StageRunner) -> StageSnapshot:
    own = runner.counters
    counters = structs.replace(own, ended=dict(own.ended), groups=list(own.groups))
    return StageSnapshot(runner.active, _queue(runner.queue), counters)


def _queue(queue: Queue[Any]) -> QueueSnapshot:
    bound = queue.bound
    return QueueSnapshot(queue.documents, queue.bytes, bound.documents, bound.bytes, queue.finished)
