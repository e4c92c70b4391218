"""Watchdog: worker threads for calls that may never return, and how a call is given up.

A call on a dead share may never return, and nothing can end it. Such calls run in daemon threads
of their own. Each call sends heartbeats; when none has come for a timeout, the event loop gives the
call up: it gets the result Hanging and is left to its thread, and the calls that remain are done by
another thread. A call that returns after it was given up reports through its `late` callback.
"""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import anyio

R = TypeVar("R")

#: Reports that a call is making progress.
Heartbeat = Callable[[], None]
#: Called in the event loop once a call that was given up has returned, with its seconds.
Returned = Callable[["Call[Any]", float], None]


class Hanging(OSError):
    """A folder does not answer. started: the call was started, and may still take effect."""

    def __init__(self, folder: Path, timeout: float, *, started: bool) -> None:
        super().__init__(errno.ETIMEDOUT, f"it has not answered for {timeout:g} s", str(folder))
        self.started = started


class Call(Generic[R]):
    """One piece of work in a folder, to be done by a worker thread.

    late: called by that thread with the result of a call that was given up; this may be before the
    caller of Lane.each() has seen the result Hanging.
    """

    def __init__(
        self,
        folder: Path,
        do: Callable[[Heartbeat], R],
        late: Callable[[R | OSError], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self.do = do
        self.late = late


class Run:
    """Calls that are done one after the other, by one worker thread at a time.

    remaining: indexes of the calls to be done, the last first. last_heartbeat: when the current
    call began or last sent a heartbeat, by the monotonic clock. answered: whether a call has
    returned in time since one was given up. bug: an exception that is no OSError; it ends the run.
    done: set once no call remains.
    """

    def __init__(self, calls: Sequence[Call[Any]]) -> None:
        self.calls = calls
        self.results: list[Any] = [None] * len(calls)
        self.remaining = list(reversed(range(len(calls))))
        self.last_heartbeat = time.monotonic()
        self.answered = False
        self.bug: BaseException | None = None
        self.done = anyio.Event()
        self._current: int | None = None
        self._began = 0.0
        #: Counts the threads that were given up: a thread of an earlier epoch changes nothing.
        self._epoch = 0
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._returned: Returned | None = None

    def work(self) -> bool:
        """Do the calls that remain, in a worker thread; False if it was given up meanwhile."""
        epoch = self._epoch
        while (index := self._next(epoch)) is not None:
            call, began, result = self.calls[index], self._began, None
            try:
                result = call.do(self._heartbeat)
            except OSError as error:
                result = error
            except BaseException as bug:  # noqa: BLE001 - raised by Lane.each()
                self.bug, self.remaining = bug, []
            with self._lock:
                in_time = epoch == self._epoch
                if in_time:
                    self.results[index] = result
                    self._current = None
                    self.answered = True
            if not in_time:
                call.late(result)
                self._notify(self._returned, call, time.monotonic() - began)
                return False
        if epoch == self._epoch:
            self._notify(self.done.set)
            return True
        return False

    def give_up(self, timeout: float, returned: Returned) -> Call[Any] | None:
        """Leave the current call to its thread, if it has sent no heartbeat for so many seconds.

        Returns the call, or None if there is no such call. returned: called if it returns later.
        """
        with self._lock:
            if self._current is None or time.monotonic() - self.last_heartbeat < timeout:
                return None
            call = self.calls[self._current]
            self.results[self._current] = Hanging(call.folder, timeout, started=True)
            self._current, self._returned = None, returned
            self._epoch += 1
            return call

    def cancel(self) -> None:
        """Do no call that has not been started: the caller does not wait for the results."""
        with self._lock:
            self._epoch += 1
            self.remaining = []

    def _next(self, epoch: int) -> int | None:
        with self._lock:
            if epoch != self._epoch or not self.remaining:
                return None
            self._current = self.remaining.pop()
            self._began = self.last_heartbeat = time.monotonic()
            return self._current

    def _heartbeat(self) -> None:
        self.last_heartbeat = time.monotonic()

    def _notify(self, callback: Callable[..., object] | None, *arguments: object) -> None:
        # The event loop may have ended while the call hung.
        with suppress(RuntimeError):
            if callback is not None:
                self._loop.call_soon_threadsafe(callback, *arguments)


class WorkerThread:
    """A thread that does one run after the other, until one is given up or close() is called.

    It is a daemon, for the process must be able to end while a call hangs.
    """

    def __init__(self, volume: str) -> None:
        self._runs: SimpleQueue[Run | None] = SimpleQueue()
        threading.Thread(target=self._work, name=f"lane to {volume}", daemon=True).start()

    def start(self, run: Run) -> None:
        """Start a run. Another one may follow unless this one is given up."""
        self._runs.put(run)

    def close(self) -> None:
        """Let the thread end after its current run."""
        self._runs.put(None)

    def _work(self) -> None:
        while (run := self._runs.get()) is not None and run.work():
            pass
