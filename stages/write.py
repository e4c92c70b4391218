"""Stage 6, write: a document stands in its folder, whole and durable, under a name of its own.

For a group of documents of one volume: the bytes go to temporary files that are flushed together;
the ledger records them as staged, with their names; each is renamed to its final name; the folders
are flushed; the ledger records them as delivered. docs/delivery.md tells why no crash loses or
doubles one. Folders are touched by the lane of their volume alone (folders/lanes.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import structlog
from msgspec import Struct

from pipeline.document import Document, Key
from pipeline.durable import flush_folder
from pipeline.errors import AlreadyDelivered, RetryableError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import Claim, Duplicate, Staged, State, Taken, Unrecorded
from pipeline.stage import Result, retryable_os_error
from stages.delivery.batch import Batch, discard, flush_alone
from stages.delivery.fsync import flush_names
from stages.delivery.lanes import Beat, Call, Hanging, Lane, Lanes
from stages.delivery.plan import Plan, plan_of
from stages.delivery.publish import Attempt, free_number, publish, remove
from stages.delivery.settle import NAMES, Settler
from stages.delivery.staging import Staging
from stages.delivery.volumes import Volumes
from stages.model import Classified

log = structlog.get_logger(__name__)


class Written(Struct, frozen=True):
    """Where the document stands."""

    path: Path


#: Where a document ended, or why it did not.
End = Path | RetryableError | AlreadyDelivered


class Named(Struct, frozen=True):
    """A staged document and the name that the ledger gave it. sidecars: still to be shown."""

    plan: Plan
    staged: Staged
    claim: Claim
    sidecars: tuple[str, ...]


class Write:
    """Writes groups of documents; in each lane one group at a time gets its names.

    settler: brings to their end what is left staged here, and in earlier processes.
    """

    def __init__(self, ledger: Ledger, staging: Staging, volumes: Volumes, lanes: Lanes) -> None:
        self._ledger = ledger
        self._staging = staging
        self._volumes = volumes
        self._lanes = lanes
        self.settler = Settler(ledger, staging, volumes, lanes)

    async def work(self, documents: Sequence[Document[Classified]]) -> list[Result]:
        """Deliver a group; each document's result, in order."""
        self._lanes.look()
        by_lane: dict[Lane, list[Plan]] = {}
        for document in documents:
            plan = plan_of(document)
            by_lane.setdefault(self._lanes.of(plan.folder), []).append(plan)
        ends: dict[Key, End] = {}
        if len(by_lane) == 1:
            await self._bring(*by_lane.popitem(), ends)
        else:
            async with anyio.create_task_group() as lanes:
                for lane, plans in by_lane.items():
                    lanes.start_soon(self._bring, lane, plans, ends)
        return [_result(document, ends[document.key]) for document in documents]

    async def _bring(self, lane: Lane, plans: Sequence[Plan], ends: dict[Key, End]) -> None:
        """Bring documents to the folders of one volume, and note how each one ended."""
        staged = await self._stage(lane, plans, ends)
        # From here on a stop waits: what is half done would have to be found out again.
        with anyio.CancelScope(shield=True):
            async with lane.turn:
                await self._deliver(lane, staged, ends)

    async def _stage(
        self, lane: Lane, plans: Sequence[Plan], ends: dict[Key, End]
    ) -> list[tuple[Plan, Staged]]:
        """Write the temporary files of a group and flush them, together where that is faster."""
        batch = Batch(self._staging, self._volumes, len(plans))
        calls: list[Call[Any]] = [
            *(Call(plan.folder, partial(batch.write, plan), discard) for plan in plans),
            Call(Path(lane.volume), batch.flush),
        ]
        *written, flushed = await lane.each(calls)
        staged = [
            (plan, one) for plan, one in zip(plans, written, strict=True) if isinstance(one, Staged)
        ]
        failed = {
            plan.key: one
            for plan, one in zip(plans, written, strict=True)
            if isinstance(one, OSError)
        }
        if isinstance(flushed, OSError):
            # It hangs, and perhaps for one of many.
            alone = [Call(plan.folder, partial(_flush_alone, one)) for plan, one in staged]
            errors = await lane.each(alone)
            flushed = {
                plan.key: error for (plan, _), error in zip(staged, errors, strict=True) if error
            }
        assert isinstance(flushed, dict)
        await self._remove(lane, [pair for pair in staged if pair[0].key in flushed])
        failed |= flushed
        ends |= {
            p.key: retryable_os_error(p.label, failed[p.key]) for p in plans if p.key in failed
        }
        return [pair for pair in staged if pair[0].key not in failed]

    async def _deliver(
        self, lane: Lane, staged: Sequence[tuple[Plan, Staged]], ends: dict[Key, End]
    ) -> None:
        """Name a group, make it visible, and record both."""
        allocations = await self._ledger.stage([one for _, one in staged], time.time())
        named: list[Named] = []
        nameless: list[tuple[Plan, Staged, Duplicate | Unrecorded]] = []
        for (plan, one), allocation in zip(staged, allocations, strict=True):
            if isinstance(allocation, Claim):
                named.append(Named(plan, one, allocation, plan.sidecars))
            else:
                nameless.append((plan, one, allocation))
        failed = await self._show_all(lane, named, ends)
        durable = [one.plan.key for one in named if isinstance(ends[one.plan.key], Path)]
        await self._ledger.delivered(durable, time.time())
        for plan, _, allocation in nameless:
            ends[plan.key] = _nameless_end(plan, allocation, ends)
        # The ledger first: a staged row without its file means that it was delivered.
        wait = [one.plan.key for one in failed]
        wait += [
            plan.key
            for plan, _, allocation in nameless
            if isinstance(allocation, Duplicate) and isinstance(ends[plan.key], RetryableError)
        ]
        await self._ledger.unstaged([(key, str(ends[key])) for key in wait], time.time())
        await self._remove(
            lane,
            [*((plan, one) for plan, one, _ in nameless), *((o.plan, o.staged) for o in failed)],
        )

    async def _show_all(
        self, lane: Lane, named: Sequence[Named], ends: dict[Key, End]
    ) -> list[Named]:
        """Make documents visible and durable, under other names where theirs are taken.

        Notes how each one ended; returns those that certainly are not visible. What is left
        otherwise, or in doubt, stays staged for the settler.
        """
        failed: list[Named] = []
        for left in reversed(range(NAMES)):
            attempts, undurable = await self._show(lane, named)
            taken: list[Named] = []
            for one, attempt in zip(named, attempts, strict=True):
                if attempt.error is None:
                    ends[one.plan.key] = self._shown_end(one, undurable)
                elif attempt.taken and left:
                    waiting = tuple(c for c in one.sidecars if c not in attempt.out)
                    taken.append(Named(one.plan, one.staged, one.claim, waiting))
                else:
                    ends[one.plan.key] = retryable_os_error(one.plan.label, attempt.error)
                    if isinstance(attempt.error, Hanging) and attempt.error.begun:
                        self.settler.hold(one.plan.key)
                    elif attempt.out or one.sidecars != one.plan.sidecars:
                        self.settler.note(one.plan.key, visible=False)
                    else:
                        failed.append(one)
            if not taken:
                break
            named = await self._renamed(lane, taken)
        return failed

    async def _show(
        self, lane: Lane, named: Sequence[Named]
    ) -> tuple[list[Attempt], dict[Path, OSError]]:
        """Give each its name, then make the names durable; folders where that failed, and why."""
        folders: set[Path] = set()

        def show(one: Named, _: Beat) -> Attempt:
            attempt = publish(Path(one.staged.staged), one.sidecars, Path(one.claim.path))
            if attempt.error is None:
                folders.add(one.plan.folder)
            return attempt

        def flush(_: Beat) -> dict[Path, OSError]:
            return flush_names(folders)

        calls: list[Call[Any]] = [
            *(Call(one.plan.folder, partial(show, one), self._late(one)) for one in named),
            Call(Path(lane.volume), flush),
        ]
        *attempts, flushed = await lane.each(calls)
        if isinstance(flushed, OSError):
            # It hangs, and perhaps for one of many.
            alone = list(folders)
            errors = await lane.each([Call(one, partial(_flush_names_in, one)) for one in alone])
            flushed = {one: error for one, error in zip(alone, errors, strict=True) if error}
        assert isinstance(flushed, dict)
        return [one if isinstance(one, Attempt) else Attempt(one) for one in attempts], flushed

    def _late(self, one: Named) -> Callable[[object], None]:
        def late(attempt: object) -> None:
            visible = isinstance(attempt, Attempt) and attempt.error is None
            self.settler.returned(one.plan.key, visible=visible)

        return late

    def _shown_end(self, one: Named, undurable: Mapping[Path, OSError]) -> End:
        """The end of a document that is visible: only what is durable is delivered."""
        plan, path = one.plan, Path(one.claim.path)
        error = undurable.get(plan.folder)
        if error is None:
            _tell(plan, one.claim)
            return path
        self.settler.note(plan.key, visible=True)
        return RetryableError(
            plan.label,
            f"it stands in its folder, and the system can't make that durable:"
            f" {error.strerror or error} ({plan.folder})",
            "Mend the disk or the folder; the platform is told at the first poll at which that can"
            " be done",
        )

    async def _renamed(self, lane: Lane, taken: Sequence[Named]) -> list[Named]:
        """Have the ledger give other names to documents whose own somebody took."""

        def find(one: Named, _: Beat) -> int:
            return free_number(one.plan.target, one.plan.sidecars, one.claim.number + 1)

        numbers = await lane.each([Call(one.plan.folder, partial(find, one)) for one in taken])
        free = [
            (one, number if isinstance(number, int) else one.claim.number + 1)
            for one, number in zip(taken, numbers, strict=True)
        ]
        wanted = [Taken(one.plan.key, str(one.plan.target), number) for one, number in free]
        claims = await self._ledger.rename(wanted, time.time())
        return [
            Named(one.plan, one.staged, claim, one.sidecars)
            for one, claim in zip(taken, claims, strict=True)
        ]

    async def _remove(self, lane: Lane, rest: Sequence[tuple[Plan, Staged]]) -> None:
        """Remove temporary files that nobody needs; what can't be removed now goes later."""

        def gone(one: Staged, _: Beat) -> None:
            remove(Path(one.staged), one.sidecars)

        if rest:
            await lane.each([Call(plan.folder, partial(gone, one)) for plan, one in rest])


def _flush_alone(staged: Staged, _: Beat) -> OSError | None:
    return flush_alone(staged)


def _flush_names_in(folder: Path, _: Beat) -> None:
    flush_folder(folder)


def _tell(plan: Plan, claim: Claim) -> None:
    """Log what was delivered before under the same number."""
    if claim.repeats:
        log.warning("document was delivered before", document=plan.label, before=claim.repeats)
    elif claim.corrects:
        log.warning(
            "document bears a number that was delivered before",
            document=plan.label,
            before=claim.corrects,
        )


def _nameless_end(plan: Plan, allocation: Duplicate | Unrecorded, ends: Mapping[Key, End]) -> End:
    """Why a document got no name."""
    if isinstance(allocation, Unrecorded):
        if allocation.state is None:
            return RetryableError(
                plan.label,
                "the ledger does not hold that it was listed",
                "It will be retried at the next poll; if that goes on, check the disk that holds"
                " state_dir",
            )
        return RetryableError(
            plan.label,
            f"it is {allocation.state} already",
            "The platform is told at the next poll",
        )
    same = f"it is the same as {allocation.label}"
    if allocation.key.source != plan.key.source:
        same += f" of source {allocation.key.source}"
    if allocation.state is State.DELIVERED or isinstance(ends.get(allocation.key), Path):
        return AlreadyDelivered(plan.label, f"{same}, which was delivered")
    return RetryableError(plan.label, f"{same}, which has yet to be delivered")


def _result(document: Document[Classified], end: End) -> Result:
    return document.grown(Written(end)) if isinstance(end, Path) else end
