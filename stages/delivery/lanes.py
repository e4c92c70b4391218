"""Lanes to the destination volumes: a share that hangs holds up nobody but its own documents.

A call on a dead share may never return, and nothing can end it. So folders are touched by threads
of a lane alone: one lane for each volume, each call watched. A call that shows no sign of life for
as long as the lane has patience is left to its thread; until it has returned its folder counts as
hanging, and whoever wants something there is told so at once. What concerns other folders goes on
in another thread.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import anyio
import structlog

log = structlog.get_logger(__name__)

R = TypeVar("R")

#: Shows that a call goes on.
Beat = Callable[[], None]

#: Seconds without a sign of life after which a call counts as hanging. A share that answers later
#: than that is given twice the time it took, up to the second, and less again as it gets faster.
PATIENCE = 10.0
LONGEST_PATIENCE = 120.0
LESS = 0.9
#: Folders of one lane that hang one after another until the whole volume counts as hanging.
IN_A_ROW = 3
#: Seconds until something that hangs is tried again although its call has not returned; doubled
#: each time, up to the second.
REST = 60.0
LONGEST_REST = 3600.0
#: Calls of a lane that may hang at once: each holds a thread.
STUCK = 16


class Hanging(OSError):
    """A folder does not answer. begun: the call was begun, and may have its effect at any time."""

    def __init__(self, folder: Path, patience: float, *, begun: bool) -> None:
        super().__init__(errno.ETIMEDOUT, f"it has not answered for {patience:g} s", str(folder))
        self.begun = begun


class Call(Generic[R]):
    """What is to be done in a folder, by a thread.

    late: called by that thread with what a call came to that nobody waited for any more; the one
    who waited may not have learned of that yet.
    """

    def __init__(
        self,
        folder: Path,
        do: Callable[[Beat], R],
        late: Callable[[R | OSError], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self.do = do
        self.late = late


class Lane:
    """The threads that touch the folders of one volume.

    volume: where it is mounted. turn: held by whoever gives names there.
    """

    def __init__(self, volume: str) -> None:
        self.volume = volume
        self.turn = anyio.Lock()
        self._patience = PATIENCE
        self._idle: list[_Thread] = []
        self._hanging: dict[Path | None, _Rest] = {}
        self._stuck = 0
        self._in_a_row = 0

    async def each(self, calls: Sequence[Call[R]]) -> list[R | OSError]:
        """Do calls one after the other; what each came to, in order.

        An OSError is a result as well: Hanging for a call that does not return. Any other
        exception ends the rest and is raised.
        """
        run = _Run(calls)
        while True:
            self._refuse(run)
            if not run.left:
                return run.results
            thread = self._idle.pop() if self._idle else _Thread(self.volume)
            thread.work(run)
            if await self._watch(run):
                self._idle.append(thread)
                if run.bug is not None:
                    raise run.bug

    def close(self) -> None:
        """Let the threads end that have nothing to do."""
        while self._idle:
            self._idle.pop().end()

    async def _watch(self, run: _Run) -> bool:
        """Wait until a thread is through; False if it hangs and has been left alone."""
        try:
            while not run.done.is_set():
                with anyio.move_on_after(run.since + self._patience - time.monotonic()):
                    await run.done.wait()
                if run.done.is_set():
                    break
                if (call := run.give_up(self._patience, self._returned)) is not None:
                    self._hangs(call.folder, after=run.answered)
                    run.answered = False
                    return False
        except BaseException:
            run.abandon()
            raise
        if run.answered:
            self._in_a_row = 0
            self._patience = max(self._patience * LESS, PATIENCE)
        return True

    def _refuse(self, run: _Run) -> None:
        """Tell at once what is not tried, for its folder hangs."""
        if not self._hanging:
            return
        now = time.monotonic()
        for index in run.left[:]:
            rests = (self._hanging.get(None), self._hanging.get(run.calls[index].folder))
            if any(rest and (rest.until > now or self._stuck >= STUCK) for rest in rests):
                run.results[index] = Hanging(run.calls[index].folder, self._patience, begun=False)
                run.left.remove(index)

    def _hangs(self, folder: Path, *, after: bool) -> None:
        """Take note of a folder that hangs; after: whether another one answered before it."""
        self._stuck += 1
        self._in_a_row = 1 if after else self._in_a_row + 1
        self._hanging.setdefault(folder, _Rest()).begin()
        log.error(
            "a folder hangs",
            folder=str(folder),
            seconds=self._patience,
            remedy="Check the share or the disk; its documents wait and will be retried",
        )
        if self._in_a_row >= IN_A_ROW:
            self._hanging.setdefault(None, _Rest()).begin()

    def _returned(self, call: Call[Any], seconds: float) -> None:
        """A call has returned that nobody waited for any more; in the event loop."""
        self._stuck -= 1
        self._in_a_row = 0
        self._patience = min(max(self._patience, 2 * seconds), LONGEST_PATIENCE)
        self._hanging.pop(None, None)
        if self._hanging.pop(call.folder, None) is not None:
            log.info("a folder answers again", folder=str(call.folder), after=round(seconds, 1))


class Lanes:
    """The lane of each volume; no disk is touched to find it."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._table = b""
        self._mounts: list[str] = []
        self._volumes: dict[Path, str] = {}

    def of(self, folder: Path) -> Lane:
        """The lane to a folder, by the table of mounted volumes; on Windows by drive or share."""
        volume = self._volumes.get(folder)
        if volume is None:
            self._volumes[folder] = volume = self._volume(folder)
        lane = self._lanes.get(volume)
        if lane is None:
            self._lanes[volume] = lane = Lane(volume)
        return lane

    def is_mounted(self, path: str) -> bool:
        """Whether a volume is mounted at a path, by the table where there is one."""
        return path in self._mounts if self._table else os.path.ismount(path)

    def look(self) -> None:
        """Read the table of mounted volumes anew: once for each group of documents."""
        if sys.platform != "linux":
            return
        with suppress(OSError):
            table = _read(MOUNTS)
            if table != self._table:
                self._table = table
                self._mounts = sorted(_mount_points(table), key=len, reverse=True)
                self._volumes.clear()

    def close(self) -> None:
        """Let the threads of all lanes end that have nothing to do."""
        for lane in self._lanes.values():
            lane.close()

    def _volume(self, folder: Path) -> str:
        if sys.platform == "win32":
            return os.path.splitdrive(folder)[0].casefold()
        path = f"{folder}/"
        return next((one for one in self._mounts if path.startswith(one.rstrip("/") + "/")), "/")


#: The table of mounted volumes of Linux (proc(5)).
MOUNTS = "/proc/self/mountinfo"


class _Rest:
    """Until when something that hangs is left alone, by the monotonic clock."""

    def __init__(self) -> None:
        self.until = 0.0
        self._seconds = REST

    def begin(self) -> None:
        self.until = time.monotonic() + self._seconds
        self._seconds = min(2 * self._seconds, LONGEST_REST)


class _Run:
    """Calls that are done one after the other, by one thread at a time.

    left: the calls to be done, the last first. since: when the current one began or last showed
    that it goes on, by the monotonic clock. answered: whether a call has returned in time since one
    hung.
    """

    def __init__(self, calls: Sequence[Call[Any]]) -> None:
        self.calls = calls
        self.results: list[Any] = [None] * len(calls)
        self.left = list(reversed(range(len(calls))))
        self.since = time.monotonic()
        self.answered = False
        self.bug: BaseException | None = None
        self.done = anyio.Event()
        self._current: int | None = None
        self._began = 0.0
        self._turn = 0
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._returned: Callable[[Call[Any], float], None] | None = None

    def work(self) -> bool:
        """Do the calls that are left, in a thread; False if it has been given up meanwhile."""
        turn = self._turn
        while (index := self._next(turn)) is not None:
            call, began, result = self.calls[index], self._began, None
            try:
                result = call.do(self._beat)
            except OSError as error:
                result = error
            except BaseException as bug:  # noqa: BLE001 - raised by whoever waits
                self.bug, self.left = bug, []
            with self._lock:
                in_time = turn == self._turn
                if in_time:
                    self.results[index] = result
                    self._current = None
                    self.answered = True
            if not in_time:
                call.late(result)
                self._tell(self._returned, call, time.monotonic() - began)
                return False
        if turn == self._turn:
            self._tell(self.done.set)
            return True
        return False

    def give_up(
        self, patience: float, returned: Callable[[Call[Any], float], None]
    ) -> Call[Any] | None:
        """Leave the current call to its thread, if that has shown no sign of life for so long.

        returned: called once it has returned all the same, with the seconds that it took.
        """
        with self._lock:
            if self._current is None or time.monotonic() - self.since < patience:
                return None
            call = self.calls[self._current]
            self.results[self._current] = Hanging(call.folder, patience, begun=True)
            self._current, self._returned = None, returned
            self._turn += 1
            return call

    def abandon(self) -> None:
        """Nobody waits any more: what has not begun is not done."""
        with self._lock:
            self._turn += 1
            self.left = []

    def _next(self, turn: int) -> int | None:
        with self._lock:
            if turn != self._turn or not self.left:
                return None
            self._current = self.left.pop()
            self._began = self.since = time.monotonic()
            return self._current

    def _beat(self) -> None:
        self.since = time.monotonic()

    def _tell(self, what: Callable[..., object] | None, *arguments: object) -> None:
        # The event loop may have ended while the call hung.
        with suppress(RuntimeError):
            if what is not None:
                self._loop.call_soon_threadsafe(what, *arguments)


class _Thread:
    """A thread that does one run after the other. A daemon: one that hangs can't be waited for."""

    def __init__(self, volume: str) -> None:
        self._runs: SimpleQueue[_Run | None] = SimpleQueue()
        threading.Thread(target=self._work, name=f"lane to {volume}", daemon=True).start()

    def work(self, run: _Run) -> None:
        """Do a run, after which there may be another unless it was given up."""
        self._runs.put(run)

    def end(self) -> None:
        """There will be no other run."""
        self._runs.put(None)

    def _work(self) -> None:
        while (run := self._runs.get()) is not None and run.work():
            pass


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = b""
        while piece := os.read(descriptor, 1 << 16):
            data += piece
        return data
    finally:
        os.close(descriptor)


def _mount_points(table: bytes) -> set[str]:
    """The mount points in a table, whose blanks and the like are written as octal numbers."""
    points = {line.split(b" ", 5)[4] for line in table.splitlines()}
    return {os.fsdecode(point.decode("unicode_escape").encode("latin-1")) for point in points}
