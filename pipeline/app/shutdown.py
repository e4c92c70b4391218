"""Stops the program in an orderly way: the first signal drains, a second one stops at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import structlog

from pipeline.engine.unforeseen import leaves
from pipeline.errors import StateError

log = structlog.get_logger(__name__)

#: Ctrl-C, the service manager, and on Windows Ctrl-Break, which service wrappers send.
SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")
    if name in signal.Signals.__members__
)

#: Seconds that it may take to stop at once, before the process ends as it is.
LAST = 2.0


class Shutdown:
    """The wish to stop, whoever utters it.

    requested: set at the first wish; listing ends and what is in flight drains, for at most
    `grace` seconds. scope: everything that has to end at once at the second wish, or when the
    grace is over, runs within it. abandon: ends the process; called when not even that ends,
    because a thread hangs.
    """

    def __init__(self, grace: float, abandon: Callable[[], object] = lambda: None) -> None:
        self.grace = grace
        self.requested = anyio.Event()
        self.scope = anyio.CancelScope()
        self._abandon = abandon
        self._hurries: list[Callable[[], None]] = []
        self._last_resort: asyncio.TimerHandle | None = None
        self._refused = False

    def request(self, why: str) -> None:
        """Begin to stop; a second time: stop now."""
        # The log comes last: where nobody reads it any more, to write it may fail.
        if self.requested.is_set():
            if not self.scope.cancel_called:
                self.scope.cancel()
                self._give_up_after(LAST)
                log.warning("stopping at once", why=why)
            return
        self.scope.deadline = anyio.current_time() + self.grace
        self._give_up_after(self.grace + LAST)
        self.requested.set()
        for hurry in self._hurries:
            hurry()
        log.info("stopping", why=why, grace=self.grace)

    def hurry(self, what: Callable[[], None]) -> None:
        """Have something called at the first wish, or now if there has been one."""
        self._hurries.append(what)
        if self.requested.is_set():
            what()

    async def feed(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work that brings documents in, until it ends or someone wishes to stop."""

        async def end_when_requested() -> None:
            await self.requested.wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(end_when_requested)
            await work()
            group.cancel_scope.cancel()

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Run the block until the wish to stop at once, which signals utter as well.

        Once a stop is wished for, a disk that refuses the ledger is such a wish too: what it does
        not record is fetched again.
        """
        with handle_signals(self):
            try:
                with self.scope:
                    yield
            except (StateError, BaseExceptionGroup) as error:
                causes = list(leaves(error))
                refused = all(isinstance(cause, StateError) for cause in causes)
                if not self.requested.is_set() or not refused:
                    raise
                self._refused = True
                log.error("stopped", reason=str(causes[0]))
            finally:
                if self._last_resort is not None:
                    self._last_resort.cancel()

    @property
    def at_once(self) -> bool:
        """Whether documents in flight were dropped, for a later run to fetch again."""
        return self.scope.cancelled_caught or self._refused

    def _give_up_after(self, seconds: float) -> None:
        if self._last_resort is not None:
            self._last_resort.cancel()
        self._last_resort = asyncio.get_running_loop().call_later(seconds, self._abandon)


class Signals:
    """What a process does with the signals that ask it to end, from its first line to its last.

    Before the event loop runs they raise KeyboardInterrupt. From then on handle_signals() acts on
    them; the few that come in between are kept for it, and what comes after it harms nobody.
    """

    def __init__(self) -> None:
        self._heard: list[str] = []
        self._interrupting = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch them from now on until the end of the process."""
        self._interrupting = True
        for one in SIGNALS:
            signal.signal(one, self._handle)
        try:
            yield
        finally:
            # Python gives up its handlers before its very end, and a signal would kill it then.
            for one in SIGNALS:
                signal.signal(one, signal.SIG_IGN)

    def keep(self) -> None:
        """The event loop begins: nothing is interrupted any more."""
        self._interrupting = False

    def take(self) -> list[str]:
        """The names of those that have been kept; they are forgotten."""
        heard, self._heard = self._heard, []
        return heard

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._heard.append(signal.Signals(number).name)
        if self._interrupting:
            self._interrupting = False
            raise KeyboardInterrupt


#: A process has one set of handlers.
signals = Signals()


@contextmanager
def handle_signals(stop: Shutdown) -> Iterator[None]:
    """Turn the signals that ask a program to end into wishes to stop."""
    loop = asyncio.get_running_loop()

    def handle(number: int, _: FrameType | None) -> None:
        # A signal may come between any two instructions; the event loop takes it up in its turn.
        loop.call_soon_threadsafe(stop.request, signal.Signals(number).name)

    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
    for one in SIGNALS:
        before[one] = signal.signal(one, handle)
    for name in signals.take():
        stop.request(name)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
