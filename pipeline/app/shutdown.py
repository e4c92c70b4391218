"""Graceful shutdown: the first signal drains what is in flight, a second one stops at once.

Guarantees: after the first request the process ends within the grace period and a few seconds more,
whatever hangs; and it ends with the exit code that its command documents, in whichever moment a
signal arrives. Nothing is lost by a forced stop: a later run fetches again what was dropped.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import structlog

from pipeline.app.signals import SIGNALS, signal_handlers
from pipeline.engine.error_reporter import leaf_exceptions
from pipeline.errors import StateError

log = structlog.get_logger(__name__)

#: Seconds that a forced stop may take before the process is ended as it is.
LAST_RESORT = 2.0


class Shutdown:
    """The shutdown of one command: requested, then draining, then forced if need be.

    grace: seconds that the drain may take; it may change until the shutdown is requested.
    requested: set by the first request. Listing ends then, and what is in flight drains.
    scope: all that a forced stop has to end runs within it. It is cancelled by the second request,
    or when the grace period is over.
    abandon: ends the process. It is called when even the forced stop does not end, because a thread
    hangs.
    """

    def __init__(self, grace: float, abandon: Callable[[], object] = lambda: None) -> None:
        self.grace = grace
        self.requested = anyio.Event()
        self.scope = anyio.CancelScope()
        self._abandon = abandon
        self._callbacks: list[Callable[[], None]] = []
        self._last_resort: asyncio.TimerHandle | None = None
        self._ledger_failed = False

    def request(self, reason: str) -> None:
        """Begin to drain; if that has begun already, stop at once."""
        if self.requested.is_set():
            self._force(reason)
        else:
            self._drain(reason)

    def on_request(self, callback: Callable[[], None]) -> None:
        """Call something when the shutdown is requested, or now if it has been."""
        self._callbacks.append(callback)
        if self.requested.is_set():
            callback()

    async def run_until_requested(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run what brings documents in until it ends or the shutdown is requested."""

        async def cancel_when_requested() -> None:
            await self.requested.wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(cancel_when_requested)
            await work()
            group.cancel_scope.cancel()

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Run the block under this shutdown: signals request it, and a forced stop ends the block.

        Once it is requested, a ledger that can't be written forces the stop as well, instead of
        raising its StateError: a later run fetches again what the ledger does not record.
        """
        with handle_signals(self):
            try:
                with self.scope:
                    yield
            except (StateError, BaseExceptionGroup) as error:
                causes = list(leaf_exceptions(error))
                ledger_failed = all(isinstance(cause, StateError) for cause in causes)
                if not self.requested.is_set() or not ledger_failed:
                    raise
                self._ledger_failed = True
                log.error("stopped", reason=str(causes[0]))
            finally:
                if self._last_resort is not None:
                    self._last_resort.cancel()

    @property
    def forced(self) -> bool:
        """Whether documents in flight were dropped, for a later run to fetch again."""
        return self.scope.cancelled_caught or self._ledger_failed

    def _drain(self, reason: str) -> None:
        self.scope.deadline = anyio.current_time() + self.grace
        self._abandon_after(self.grace + LAST_RESORT)
        self.requested.set()
        for callback in self._callbacks:
            callback()
        # The log comes last: where nothing reads it any more, writing to it may fail.
        log.info("stopping", why=reason, grace=self.grace)

    def _force(self, reason: str) -> None:
        if not self.scope.cancel_called:
            self.scope.cancel()
            self._abandon_after(LAST_RESORT)
            log.warning("stopping at once", why=reason)

    def _abandon_after(self, seconds: float) -> None:
        if self._last_resort is not None:
            self._last_resort.cancel()
        self._last_resort = asyncio.get_running_loop().call_later(seconds, self._abandon)


@contextmanager
def handle_signals(shutdown: Shutdown) -> Iterator[None]:
    """Have each signal that asks a program to end request the shutdown, while the block runs."""
    loop = asyncio.get_running_loop()

    def handle(number: int, _: FrameType | None) -> None:
        # A signal may come between any two instructions; the event loop takes it up in its turn.
        loop.call_soon_threadsafe(shutdown.request, signal.Signals(number).name)

    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
    for one in SIGNALS:
        before[one] = signal.signal(one, handle)
    for name in signal_handlers.take_pending():
        shutdown.request(name)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
