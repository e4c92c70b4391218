"""Recovery: brings documents that are staged in the ledger, and not in flight, to their end.

They are left by a crash, by a folder that refused or hung, or by a folder that could not be
flushed. How it is found out whether one is visible: recovery_alone.py, recovery_shared.py.
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
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import NameTaken, Unfinished
from pipeline.long_paths import local_path
from stages.delivery.destinations import Destinations
from stages.delivery.lanes import Lane, Lanes
from stages.delivery.volumes import Volumes
from stages.delivery.watchdog import Call, Hanging, Heartbeat

log = structlog.get_logger(__name__)

#: Names that are tried for a document whose names are taken, until it waits for the next poll.
MAX_NAMES = 10

#: Why a staged document has to be fetched again.
VANISHED = "its temporary file was removed before it became visible; it will be fetched again"


class Recovered(Struct, frozen=True):
    """The result of one attempt to recover a document: delivered, lost, or still staged.

    visible: whether it has become visible; None if that could not be found out. durable: its name
    is durable, so it is delivered. lost: why it has to be fetched again; is_aside: its
    files are put aside for that. error: why it stays staged. next_number: of the alternative name
    to try, for its own is taken.
    """

    visible: bool | None
    durable: bool = False
    lost: str = ""
    is_aside: bool = False
    error: OSError | None = None
    next_number: int = 0


class Recovery:
    """Recovers staged documents, and remembers what this process saw of each.

    remember() and call_returned() may be called by any thread, the rest by the event loop alone.
    """

    def __init__(
        self,
        ledger: Ledger,
        volumes: Volumes,
        lanes: Lanes,
        destinations: Destinations,
    ) -> None:
        self._ledger = ledger
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
        """Recover what is left staged; to be called before the first document flows."""
        await self.retry(lambda _: False)

    async def retry(self, is_in_flight: Callable[[Key], bool]) -> None:
        """Recover the documents that are staged and not in flight; once in each poll."""
        async with self._running:
            before = {one.key for one in await self._unfinished() if not is_in_flight(one.key)}
            if not before - self._waiting_for:
                return
            # The ledger is asked twice: a document that ended between its answer and the question
            # whether it is in flight was still staged in the first answer.
            unfinished = [one for one in await self._unfinished() if one.key in before]
            self._lanes.refresh_mounts()
            by_lane: dict[Lane, list[Unfinished]] = {}
            for one in unfinished:
                if one.key not in self._waiting_for:
                    by_lane.setdefault(self._lanes.of(local_path(one.path).parent), []).append(one)
            async with anyio.create_task_group() as lanes:
                for lane, its in by_lane.items():
                    lanes.start_soon(self._recover_all, lane, its)

    async def _unfinished(self) -> list[Unfinished]:
        """The staged documents that are for this process to recover, unless they are in flight."""
        return await self._ledger.unfinished()

    async def _taken_up(
        self,
        lane: Lane,  # noqa: ARG002 - of several nodes
        unfinished: Sequence[Unfinished],
    ) -> Sequence[Unfinished]:
        """Those that nobody has brought to their end meanwhile."""
        return unfinished

    async def _record(
        self,
        lane: Lane,  # noqa: ARG002 - of several nodes
        delivered: Sequence[Unfinished],
        lost: Sequence[tuple[Unfinished, Recovered]],
    ) -> Sequence[Unfinished]:
        """Record what became of documents, durably; those that are delivered."""
        now = time.time()
        await self._ledger.delivered([(one.key, one.staged) for one in delivered], now)
        await self._ledger.unstaged([(one.key, one.staged, why.lost) for one, why in lost], now)
        return delivered

    async def _recover_all(self, lane: Lane, unfinished: Sequence[Unfinished]) -> None:
        with anyio.CancelScope(shield=True):
            async with lane.publish_lock:
                unfinished = await self._taken_up(lane, unfinished)
                for _ in range(MAX_NAMES):
                    unfinished = await self._attempt(lane, unfinished)
                    if not unfinished:
                        break

    async def _attempt(self, lane: Lane, unfinished: Sequence[Unfinished]) -> list[Unfinished]:
        """Try to recover each document once; those that have got another name to be tried."""
        delivered: list[Unfinished] = []
        lost: list[tuple[Unfinished, Recovered]] = []
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
                lost.append((one, result))
            elif result.next_number:
                wanted = NameTaken(one.key, one.path, result.next_number, one.staged, one.path)
                taken.append((one, wanted))
            else:
                if result.error is not None:
                    refusing[folder] = result.error
                self._log_postponed(one, result.error)
        self._destinations.record_folders(taking, refusing)
        ended = await self._record(lane, delivered, lost)
        claims = await self._ledger.reallocate([wanted for _, wanted in taken], time.time())
        for one in (*delivered, *(one for one, _ in lost)):
            self._visible.pop(one.key, None)
        _log_recovered(ended, len(lost))
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
        raise NotImplementedError

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
