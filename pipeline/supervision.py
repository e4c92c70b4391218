"""Stops the program in an orderly way: the first signal drains, a second one stops at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import structlog

log = structlog.get_logger(__name__)

#: Ctrl-C, the service manager, and on Windows Ctrl-Break, which service wrappers send.
SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")
    if name in signal.Signals.__members__
)


class Stop:
    """The wish to stop, whoever utters it.

    requested: set at the first wish; listing ends and what is in flight drains, for at most
    `grace` seconds. scope: everything that has to end at once at the second wish, or when the
    grace is over, runs within it. hurries: called at the first wish.
    """

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.requested = anyio.Event()
        self.scope = anyio.CancelScope()
        self.hurries: list[Callable[[], None]] = []

    def request(self, why: str) -> None:
        """Begin to stop; a second time: stop now."""
        # The log comes last: where nobody reads it any more, to write it may fail.
        if self.requested.is_set():
            self.scope.cancel()
            log.warning("stopping at once", why=why)
            return
        self.scope.deadline = anyio.current_time() + self.grace
        self.requested.set()
        for hurry in self.hurries:
            hurry()
        log.info("stopping", why=why, grace=self.grace)

    async def feed(self, work: Callable[[], Awaitable[None]], broken: anyio.Event) -> None:
        """Do the work that brings documents in, until it ends or someone wishes to stop.

        broken: set by an engine that a bug has hit, which is such a wish as well.
        """

        async def stop_when_broken() -> None:
            await broken.wait()
            self.request("a stage died")

        async def end_when_requested() -> None:
            await self.requested.wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(stop_when_broken)
            group.start_soon(end_when_requested)
            await work()
            group.cancel_scope.cancel()

    @property
    def at_once(self) -> bool:
        """Whether documents in flight were dropped, for a later run to fetch again."""
        return self.scope.cancelled_caught


@contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """Turn the signals that ask a program to end into wishes to stop."""
    loop = asyncio.get_running_loop()

    def handle(number: int, _: FrameType | None) -> None:
        # A signal may come between any two instructions; the event loop takes it up in its turn.
        loop.call_soon_threadsafe(stop.request, signal.Signals(number).name)

    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
    for one in SIGNALS:
        before[one] = signal.signal(one, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
