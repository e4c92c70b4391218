"""Lanes: one bulkhead for each destination volume, so that a share that hangs delays no other.

Folders are touched only by worker threads of the lane of their volume, under a watchdog
(watchdog.py). A call that sends no heartbeat within the lane's timeout is given up. Until it has
returned its folder counts as hanging: calls for that folder fail at once with Hanging, and calls
for other folders go on in another thread. After some folders that hang one after another the whole
volume counts as hanging. What hangs is tried again after a backoff, although its call has not
returned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
import structlog

from stages.delivery.mounts import MountTable
from stages.delivery.watchdog import Call, Hanging, Run, WorkerThread

log = structlog.get_logger(__name__)

R = TypeVar("R")

#: Seconds without a heartbeat after which a call counts as hanging. A share that answers later
#: than that is given twice the time it took, up to the second; the third is by what that shrinks
#: with each run that is in time.
TIMEOUT = 10.0
MAX_TIMEOUT = 120.0
TIMEOUT_DECAY = 0.9
#: Folders of one lane that hang one after another until the whole volume counts as hanging.
MAX_HANGING_IN_A_ROW = 3
#: Seconds until something that hangs is tried again although its call has not returned; doubled
#: each time, up to the second.
BACKOFF = 60.0
MAX_BACKOFF = 3600.0
#: Calls of a lane that may hang at once: each holds a thread.
MAX_STUCK_THREADS = 16


class Lane:
    """The worker threads that touch the folders of one volume. For the event loop alone.

    volume: where it is mounted. publish_lock: held while documents get their names there.
    """

    def __init__(self, volume: str) -> None:
        self.volume = volume
        self.publish_lock = anyio.Lock()
        #: How often a call that takes long has shown that it goes on, or was given up.
        self.signs_of_life = 0
        self._timeout = TIMEOUT
        self._idle: list[WorkerThread] = []
        # By folder; None stands for the whole volume.
        self._hanging: dict[Path | None, _Backoff] = {}
        self._stuck = 0
        self._in_a_row = 0

    async def each(self, calls: Sequence[Call[R]]) -> list[R | OSError]:
        """Do calls one after the other; the result of each, in order.

        An OSError is a result as well: Hanging for a call that does not return. Any other
        exception ends the rest and is raised.
        """
        run = Run(calls)
        while True:
            self._refuse_hanging(run)
            if not run.remaining:
                return run.results
            thread = self._idle.pop() if self._idle else WorkerThread(self.volume)
            thread.start(run)
            if await self._watch(run):
                self._idle.append(thread)
                if run.bug is not None:
                    raise run.bug

    def close(self) -> None:
        """Let the idle threads end."""
        while self._idle:
            self._idle.pop().close()

    async def _watch(self, run: Run) -> bool:
        """Wait until a thread has done a run; False if a call hangs and was given up."""
        try:
            while not run.done.is_set():
                with anyio.move_on_after(run.last_heartbeat + self._timeout - time.monotonic()):
                    await run.done.wait()
                self.signs_of_life += 1
                if run.done.is_set():
                    break
                if (call := run.give_up(self._timeout, self._returned)) is not None:
                    self._record_hanging(call.folder, after_answer=run.answered)
                    run.answered = False
                    return False
        except BaseException:
            run.cancel()
            raise
        if run.answered:
            self._in_a_row = 0
            self._timeout = max(self._timeout * TIMEOUT_DECAY, TIMEOUT)
        return True

    def _refuse_hanging(self, run: Run) -> None:
        """Fail the calls whose folder or volume hangs, without trying them."""
        if not self._hanging:
            return
        now = time.monotonic()
        for index in run.remaining[:]:
            backoffs = (self._hanging.get(None), self._hanging.get(run.calls[index].folder))
            if any(
                one and (one.until > now or self._stuck >= MAX_STUCK_THREADS) for one in backoffs
            ):
                run.results[index] = Hanging(run.calls[index].folder, self._timeout, started=False)
                run.remaining.remove(index)

    def _record_hanging(self, folder: Path, *, after_answer: bool) -> None:
        """Record that a folder hangs; after_answer: whether another one answered before it."""
        self._stuck += 1
        self._in_a_row = 1 if after_answer else self._in_a_row + 1
        self._hanging.setdefault(folder, _Backoff()).start()
        log.error(
            "a folder hangs",
            folder=str(folder),
            seconds=self._timeout,
            remedy="Check the share or the disk; its documents wait and will be retried",
        )
        if self._in_a_row >= MAX_HANGING_IN_A_ROW:
            self._hanging.setdefault(None, _Backoff()).start()

    def _returned(self, call: Call[Any], seconds: float) -> None:
        """Record that a call that was given up has returned; runs in the event loop."""
        self._stuck -= 1
        self._in_a_row = 0
        self._timeout = min(max(self._timeout, 2 * seconds), MAX_TIMEOUT)
        self._hanging.pop(None, None)
        if self._hanging.pop(call.folder, None) is not None:
            log.info("a folder answers again", folder=str(call.folder), after=round(seconds, 1))


class Lanes:
    """The lane of each volume; no disk is touched to find it."""

    def __init__(self) -> None:
        self._mounts = MountTable()
        self._volumes: dict[Path, str] = {}
        self._lanes: dict[str, Lane] = {}

    def of(self, folder: Path) -> Lane:
        """The lane of the volume that holds a folder, as of the last refresh_mounts()."""
        volume = self._volumes.get(folder)
        if volume is None:
            self._volumes[folder] = volume = self._mounts.volume_of(folder)
        lane = self._lanes.get(volume)
        if lane is None:
            self._lanes[volume] = lane = Lane(volume)
        return lane

    @property
    def signs_of_life(self) -> int:
        """How often calls of any lane have shown that they go on."""
        return sum(lane.signs_of_life for lane in self._lanes.values())

    def is_mounted(self, path: str) -> bool:
        """Whether a volume is mounted at a path."""
        return self._mounts.is_mounted(path)

    def mount_of(self, folder: Path) -> str:
        """The mount point of the mount within which renames of a folder's files work."""
        return self._mounts.mount_of(folder)

    def refresh_mounts(self) -> None:
        """Read the table of mounted volumes again: once for each group of documents."""
        if self._mounts.refresh():
            self._volumes.clear()

    def close(self) -> None:
        """Let the idle threads of all lanes end."""
        for lane in self._lanes.values():
            lane.close()


class _Backoff:
    """Until when something that hangs is not tried, by the monotonic clock."""

    def __init__(self) -> None:
        self.until = 0.0
        self._seconds = BACKOFF

    def start(self) -> None:
        self.until = time.monotonic() + self._seconds
        self._seconds = min(2 * self._seconds, MAX_BACKOFF)
