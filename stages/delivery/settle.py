"""Settles the documents that are staged in the ledger and that nobody has in hand.

They are left by a crash, by a folder that refused or hung, by a name that could not be made
durable. What this process saw decides; only of what an earlier one left has the temporary file to
tell: where that is missing, the document became visible.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio
import structlog
from msgspec import Struct, structs

from pipeline.document import Key
from pipeline.durable import flush_folder, make_folder
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import NameTaken, Unfinished
from stages.delivery.lanes import Beat, Call, Hanging, Lane, Lanes
from stages.delivery.publish import Vanished, free_number, is_waiting, remove, resume
from stages.delivery.staging import Staging, is_private
from stages.delivery.volumes import Volumes

log = structlog.get_logger(__name__)

#: Names that are tried for a document while others take them, until it waits for the next poll.
NAMES = 10
#: Why a staged document has to be fetched again.
VANISHED = "its temporary file was removed before it became visible; it will be fetched again"
UNKNOWN = (
    "its temporary file is gone, and others may write to that folder: it may not have become"
    " visible and will be fetched again"
)


class Settlement(Struct, frozen=True):
    """What came of a staged document: durable in its folder, lost, or still staged.

    seen: whether it was seen to have become visible; None if that could not be found out. durable:
    it stands in its folder for good. lost: why it has to be fetched again. error: why it stays
    staged. taken: the number of another name to try, for its own is somebody else's.
    """

    seen: bool | None
    durable: bool = False
    lost: str = ""
    error: OSError | None = None
    taken: int = 0


class Settler:
    """Remembers what this process saw of each document that it left staged.

    note() and returned() may be called by any thread.
    """

    def __init__(self, ledger: Ledger, staging: Staging, volumes: Volumes, lanes: Lanes) -> None:
        self._ledger = ledger
        self._staging = staging
        self._volumes = volumes
        self._lanes = lanes
        self._seen: dict[Key, bool] = {}
        self._held: set[Key] = set()
        self._early: set[Key] = set()
        self._lock = threading.Lock()
        self._settling = anyio.Lock()

    def note(self, key: Key, *, visible: bool | None) -> None:
        """A document is left staged: whether this process saw it become visible, if it saw."""
        if visible is not None:
            self._seen[key] = visible

    def hold(self, key: Key) -> None:
        """A call for a document has not returned: nobody else may touch its files until then."""
        with self._lock:
            if key in self._early:
                self._early.remove(key)
            else:
                self._held.add(key)

    def returned(self, key: Key, *, visible: bool | None) -> None:
        """The call for a document has returned, and what it saw: perhaps just before hold()."""
        self.note(key, visible=visible)
        with self._lock:
            if key in self._held:
                self._held.remove(key)
            else:
                self._early.add(key)

    async def recover(self) -> None:
        """Find out, at the start, what an earlier process left staged, and bring it to its end."""
        await self.finish(lambda _: False)
        kept = [Path(one.staged).name for one in await self._ledger.unfinished()]
        await anyio.to_thread.run_sync(self._staging.keep, kept)

    async def finish(self, busy: Callable[[Key], bool]) -> None:
        """Bring to their end the documents that are staged and could not be settled so far.

        busy: whether somebody has this one in hand.
        """
        async with self._settling:
            before = {one.key for one in await self._ledger.unfinished() if not busy(one.key)}
            if not before - self._held:
                return
            # Asked again, for one that has just landed was staged still when it was asked first.
            unfinished = [one for one in await self._ledger.unfinished() if one.key in before]
            self._lanes.look()
            by_lane: dict[Lane, list[Unfinished]] = {}
            for one in unfinished:
                if one.key not in self._held:
                    by_lane.setdefault(self._lanes.of(Path(one.path).parent), []).append(one)
            async with anyio.create_task_group() as lanes:
                for lane, its in by_lane.items():
                    lanes.start_soon(self._finish, lane, its)

    async def _finish(self, lane: Lane, unfinished: Sequence[Unfinished]) -> None:
        with anyio.CancelScope(shield=True):
            async with lane.turn:
                for _ in range(NAMES):
                    unfinished = await self._try(lane, unfinished)
                    if not unfinished:
                        break

    async def _try(self, lane: Lane, unfinished: Sequence[Unfinished]) -> list[Unfinished]:
        """Settle what can be; what has been given another name, with which to try again."""
        settled: list[Key] = []
        lost: list[tuple[Key, str]] = []
        renamed: list[tuple[Unfinished, NameTaken]] = []
        ends = await lane.each([self._call(one) for one in unfinished])
        for one, end in zip(unfinished, ends, strict=True):
            if isinstance(end, Hanging) and end.begun:
                self.hold(one.key)
            if isinstance(end, OSError):
                log.warning("document has not been settled", path=one.path, reason=str(end))
                continue
            self.note(one.key, visible=end.seen)
            if end.durable:
                settled.append(one.key)
            elif end.lost:
                log.warning("document will be fetched again", path=one.path, reason=end.lost)
                lost.append((one.key, end.lost))
            elif end.taken:
                renamed.append((one, NameTaken(one.key, one.path, end.taken)))
            else:
                log.warning("document has not been settled", path=one.path, reason=str(end.error))
        now = time.time()
        await self._ledger.delivered(settled, now)
        await self._ledger.unstaged(lost, now)
        claims = await self._ledger.reallocate([taken for _, taken in renamed], now)
        for key in (*settled, *(key for key, _ in lost)):
            self._seen.pop(key, None)
        if settled or lost:
            log.info("recovered", documents=len(settled), fetched_again=len(lost))
        return [
            structs.replace(one, path=claim.path)
            for (one, _), claim in zip(renamed, claims, strict=True)
        ]

    def _call(self, one: Unfinished) -> Call[Settlement]:
        def late(end: Settlement | OSError) -> None:
            self.returned(one.key, visible=end.seen if isinstance(end, Settlement) else None)

        work = partial(self._settle, one, self._seen.get(one.key))
        return Call(Path(one.path).parent, work, late)

    def _settle(self, one: Unfinished, seen: bool | None, beat: Beat) -> Settlement:
        """Bring a staged document to its end, in a thread. OSError if nothing was found out.

        seen: whether this process saw it become visible; None if an earlier one had it in hand.
        """
        staged, target = Path(one.staged), Path(one.path)
        if not seen:
            if self._staging.is_gone(staged.parent, target.parent):
                raise FileNotFoundError(f"the volume of {target.parent} is not there")
            if not staged.parent.is_dir():
                return Settlement(False, lost=VANISHED)
            if is_waiting(staged):
                return self._show(one, staged, target)
            if seen is not None:
                return Settlement(False, lost=VANISHED)
            if not is_private(staged.parent):
                return Settlement(False, lost=UNKNOWN)
        beat()
        return _made_durable(one, staged, target)

    def _show(self, one: Unfinished, staged: Path, target: Path) -> Settlement:
        """Give a document that has not been visible its name."""
        self._volumes.check(target.parent)
        make_folder(target.parent, target.parent.parent.stat().st_mode & 0o777)
        attempt = resume(staged, one.sidecars, target)
        if attempt.taken:
            return Settlement(False, taken=free_number(target, one.sidecars, 2))
        if isinstance(attempt.error, Vanished):
            return Settlement(False, lost=VANISHED)
        if attempt.error is not None:
            return Settlement(False, error=attempt.error)
        return _made_durable(one, staged, target)


def _made_durable(one: Unfinished, staged: Path, target: Path) -> Settlement:
    """Make the name of a visible document durable; whoever gave it may not have come to that."""
    try:
        if target.parent.is_dir():
            flush_folder(target.parent)
        # Second names, of which the temporary one was yet to be removed.
        remove(staged, one.sidecars)
    except OSError as error:
        return Settlement(True, error=error)
    return Settlement(True, durable=True)
