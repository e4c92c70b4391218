"""Recovery: brings documents that are staged in the ledger, and not in flight, to their end.

They are left by a crash, by a folder that refused or hung, or by a folder that could not be
flushed. What this process saw decides. Only for a document that an earlier process left does the
temporary file decide: if it is there, the document is not visible and is published now; if it is
gone, the document became visible, and only its folder has to be flushed.
"""

from __future__ import annotations

import errno
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
from pipeline.long_paths import local_path
from stages.delivery.destinations import Destinations
from stages.delivery.document_files import free_number, remove_files
from stages.delivery.lanes import Lane, Lanes
from stages.delivery.publish import Vanished, is_unpublished, resume
from stages.delivery.staging import Staging, is_private
from stages.delivery.volumes import Volumes
from stages.delivery.watchdog import Call, Hanging, Heartbeat

log = structlog.get_logger(__name__)

#: Names that are tried for a document whose names are taken, until it waits for the next poll.
MAX_NAMES = 10
#: Why a staged document has to be fetched again.
VANISHED = "its temporary file was removed before it became visible; it will be fetched again"
ELSEWHERE = "its temporary file lies on another volume by now; it will be fetched again"
UNKNOWN = (
    "its temporary file is gone, and other accounts can write to that folder, so it may not have"
    " become visible; it will be fetched again"
)


class Recovered(Struct, frozen=True):
    """The result of one attempt to recover a document: delivered, lost, or still staged.

    visible: whether it has become visible; None if that could not be found out. durable: its name
    is durable, so it is delivered. lost: why it has to be fetched again. error: why it stays
    staged. next_number: of the alternative name to try, for its own is taken.
    """

    visible: bool | None
    durable: bool = False
    lost: str = ""
    error: OSError | None = None
    next_number: int = 0


class Recovery:
    """Recovers staged documents, and remembers what this process saw of each.

    remember() and call_returned() may be called by any thread, the rest by the event loop alone.
    """

    def __init__(
        self,
        ledger: Ledger,
        staging: Staging,
        volumes: Volumes,
        lanes: Lanes,
        destinations: Destinations,
    ) -> None:
        self._ledger = ledger
        self._staging = staging
        self._volumes = volumes
        self._lanes = lanes
        self._destinations = destinations
        self._visible: dict[Key, bool] = {}
        # Documents with a call that has not returned, and those whose call was faster.
        self._waiting_for: set[Key] = set()
        self._returned_early: set[Key] = set()
        self._lock = threading.Lock()
        self._running = anyio.Lock()

    def remember(self, key: Key, *, visible: bool | None) -> None:
        """Remember whether this process saw a document become visible; None if it can't tell."""
        if visible is not None:
            self._visible[key] = visible

    def wait_for_call(self, key: Key) -> None:
        """Leave a document alone until call_returned(): a call that hangs may still change it."""
        with self._lock:
            if key in self._returned_early:
                self._returned_early.remove(key)
            else:
                self._waiting_for.add(key)

    def call_returned(self, key: Key, *, visible: bool | None) -> None:
        """The call has returned, perhaps before wait_for_call(); visible: as in remember()."""
        self.remember(key, visible=visible)
        with self._lock:
            if key in self._waiting_for:
                self._waiting_for.remove(key)
            else:
                self._returned_early.add(key)

    async def recover(self) -> None:
        """Recover what an earlier process left staged, and clear its other temporary files.

        To be called at the start, before the first document flows.
        """
        await self.retry(lambda _: False)
        kept = [Path(one.staged).name for one in await self._ledger.unfinished()]
        await anyio.to_thread.run_sync(self._staging.keep, kept)

    async def retry(self, is_in_flight: Callable[[Key], bool]) -> None:
        """Recover the documents that are staged and not in flight; once in each poll."""
        async with self._running:
            before = {
                one.key for one in await self._ledger.unfinished() if not is_in_flight(one.key)
            }
            if not before - self._waiting_for:
                return
            # The ledger is asked twice: a document that ended between its answer and the question
            # whether it is in flight was still staged in the first answer.
            unfinished = [one for one in await self._ledger.unfinished() if one.key in before]
            self._lanes.refresh_mounts()
            by_lane: dict[Lane, list[Unfinished]] = {}
            for one in unfinished:
                if one.key not in self._waiting_for:
                    by_lane.setdefault(self._lanes.of(local_path(one.path).parent), []).append(one)
            async with anyio.create_task_group() as lanes:
                for lane, its in by_lane.items():
                    lanes.start_soon(self._recover_all, lane, its)

    async def _recover_all(self, lane: Lane, unfinished: Sequence[Unfinished]) -> None:
        with anyio.CancelScope(shield=True):
            async with lane.publish_lock:
                for _ in range(MAX_NAMES):
                    unfinished = await self._attempt(lane, unfinished)
                    if not unfinished:
                        break

    async def _attempt(self, lane: Lane, unfinished: Sequence[Unfinished]) -> list[Unfinished]:
        """Try to recover each document once; those that have got another name to be tried."""
        delivered: list[Unfinished] = []
        lost: list[tuple[Key, str, str]] = []
        taken: list[tuple[Unfinished, NameTaken]] = []
        taking: set[Path] = set()
        refusing: dict[Path, OSError] = {}
        results = await lane.each([self._call(one) for one in unfinished])
        for one, result in zip(unfinished, results, strict=True):
            if isinstance(result, Hanging) and result.started:
                self.wait_for_call(one.key)
            folder = Path(one.path).parent
            if isinstance(result, OSError):
                refusing[folder] = result
                self._log_postponed(one, result)
                continue
            self.remember(one.key, visible=result.visible)
            if result.durable:
                taking.add(folder)
                delivered.append(one)
            elif result.lost:
                log.warning("document will be fetched again", path=one.path, reason=result.lost)
                lost.append((one.key, one.staged, result.lost))
            elif result.next_number:
                taken.append((one, NameTaken(one.key, one.path, result.next_number, one.staged)))
            else:
                if result.error is not None:
                    refusing[folder] = result.error
                self._log_postponed(one, result.error)
        self._destinations.record_folders(taking, refusing)
        now = time.time()
        await self._ledger.delivered([(one.key, one.staged) for one in delivered], now)
        await self._ledger.unstaged(lost, now)
        claims = await self._ledger.reallocate([wanted for _, wanted in taken], now)
        for key in (*(one.key for one in delivered), *(key for key, *_ in lost)):
            self._visible.pop(key, None)
        _log_recovered(delivered, len(lost))
        return [
            structs.replace(one, path=claim.path)
            for (one, _), claim in zip(taken, claims, strict=True)
            if claim is not None
        ]

    def _call(self, one: Unfinished) -> Call[Recovered]:
        def late(result: Recovered | OSError) -> None:
            visible = result.visible if isinstance(result, Recovered) else None
            self.call_returned(one.key, visible=visible)

        work = partial(self._recover, one, self._visible.get(one.key))
        return Call(local_path(one.path).parent, work, late)

    def _recover(self, one: Unfinished, visible: bool | None, heartbeat: Heartbeat) -> Recovered:
        """Try to recover a document, in a thread. OSError if nothing could be found out.

        visible: whether this process saw it become visible; None if only an earlier one knows.
        """
        staged, target = local_path(one.staged), local_path(one.path)
        if not visible:
            if self._staging.is_gone(staged.parent, target.parent):
                raise OSError(errno.ENODEV, "its volume is not there", str(target.parent))
            if not staged.parent.is_dir():
                return Recovered(False, lost=VANISHED)
            if is_unpublished(staged):
                return self._publish(one, staged, target)
            if visible is not None:
                return Recovered(False, lost=VANISHED)
            if not is_private(staged.parent):
                return Recovered(False, lost=UNKNOWN)
        heartbeat()
        return _make_durable(one, staged, target)

    def _publish(self, one: Unfinished, staged: Path, target: Path) -> Recovered:
        """Give a document that is not visible its name."""
        self._volumes.check(target.parent)
        make_folder(target.parent, target.parent.parent.stat().st_mode & 0o777)
        attempt = resume(staged, one.sidecars, target)
        if attempt.taken:
            return Recovered(False, next_number=free_number(target, one.sidecars, 2))
        if isinstance(attempt.error, Vanished):
            return Recovered(False, lost=VANISHED)
        if attempt.error is not None and attempt.error.errno == errno.EXDEV:
            return Recovered(False, lost=ELSEWHERE)
        if attempt.error is not None:
            return Recovered(False, error=attempt.error)
        return _make_durable(one, staged, target)

    def _log_postponed(self, one: Unfinished, reason: OSError | None) -> None:
        log.warning(
            "document has not been recovered; it will be retried", path=one.path, reason=str(reason)
        )


def _log_recovered(delivered: Sequence[Unfinished], lost: int) -> None:
    """Log what the record of any delivered document says (pipeline/records.py), as far as known."""
    for one in delivered:
        log.info(
            "document delivered",
            source=one.key.source,
            id=one.key.id,
            document=one.label,
            company=one.company,
            kind=one.kind,
            path=one.path,
            sent_sha256=one.sha256,
            recovered=True,
        )
    if delivered or lost:
        log.info("recovered", documents=len(delivered), fetched_again=lost)


def _make_durable(one: Unfinished, staged: Path, target: Path) -> Recovered:
    """Make the name of a visible document durable: the process that gave it may not have."""
    try:
        if target.parent.is_dir():
            flush_folder(target.parent)
        # Where a rename takes two steps, the temporary name may not have been removed.
        remove_files(staged, one.sidecars)
    except OSError as error:
        return Recovered(True, error=error)
    return Recovered(True, durable=True)
