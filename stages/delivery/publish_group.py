"""Publishing a group: renames its documents in the lane, then flushes their folders together.

A document is delivered once its name is durable. A document of which this process can't tell, or
whose folder could not be flushed, stays staged in the ledger and is left to recovery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from pipeline.document import Key
from pipeline.durable import flush_folder
from pipeline.held import PAUSES
from pipeline.ledger.ledger import Ledger
from pipeline.long_paths import local_name, local_path
from stages.delivery.allocate import Named, allocate_next_names
from stages.delivery.fsync import flush_names
from stages.delivery.lanes import Lane
from stages.delivery.publish import Attempt, publish
from stages.delivery.recovery import MAX_NAMES, Recovery
from stages.delivery.results import (
    WriteResult,
    not_durable,
    not_visible,
    taken_over,
    warn_of_repetition,
)
from stages.delivery.watchdog import Call, Hanging, Heartbeat


class GroupPublisher:
    """Publishes groups of documents. The caller holds the publish_lock of the lane."""

    def __init__(self, ledger: Ledger, recovery: Recovery) -> None:
        self._ledger = ledger
        self._recovery = recovery

    async def publish(
        self, lane: Lane, named: Sequence[Named], results: dict[Key, WriteResult]
    ) -> list[Named]:
        """Make documents visible and durable, under other names where theirs are taken.

        Each one gets its result. Returns those that certainly are not visible; any other that was
        not delivered stays staged, and recovery knows of it.
        """
        failed: list[tuple[Named, Attempt]] = []
        for attempts_left in reversed(range(MAX_NAMES)):
            attempts, not_flushed = await self._attempt(lane, named)
            taken: list[Named] = []
            for one, attempt in zip(named, attempts, strict=True):
                if attempt.error is None:
                    results[one.plan.key] = self._visible(one, not_flushed)
                elif attempt.taken and attempts_left:
                    left = tuple(c for c in one.sidecars if c not in attempt.unrestored)
                    taken.append(Named(one.plan, one.staged, one.claim, left))
                else:
                    results[one.plan.key] = not_visible(one.plan, attempt.error)
                    if not self._left_to_recovery(one, attempt):
                        failed.append((one, attempt))
            if not taken:
                break
            named = await allocate_next_names(self._ledger, lane, taken)
            ours = {one.plan.key for one in named}
            results |= {k: taken_over(o.plan) for o in taken if (k := o.plan.key) not in ours}
        return await self._settle(lane, failed, results)

    async def _settle(
        self,
        lane: Lane,  # noqa: ARG002 - of several nodes
        failed: Sequence[tuple[Named, Attempt]],
        results: dict[Key, WriteResult],  # noqa: ARG002 - the same
    ) -> list[Named]:
        """Those of the documents without a name that nobody can give one any more."""
        return [one for one, _ in failed]

    def _give_names(self, one: Named, visible: Sequence[str], *, last: bool) -> Attempt:
        """Publish a document, in the lane. visible, last: as in publish()."""
        staged, target = local_name(one.staged.staged), local_name(one.claim.path)
        return publish(staged, one.sidecars, target, visible=visible, last=last)

    async def _attempt(
        self, lane: Lane, named: Sequence[Named]
    ) -> tuple[list[Attempt], Mapping[Path, OSError]]:
        """Rename each document, then flush the folders; those for which that failed, and why."""
        folders: set[Path] = set()

        def flush(_: Heartbeat) -> dict[Path, OSError]:
            return flush_names(folders)

        calls: list[Call[Any]] = [
            *(self._rename(one, folders) for one in named),
            Call(Path(lane.volume), flush),
        ]
        *attempts, flushed = await lane.each(calls)
        if any(_is_held(one) for one in attempts):
            await self._rename_when_released(lane, named, attempts, folders)
            (flushed,) = await lane.each(calls[-1:])
        if isinstance(flushed, OSError):
            # The flush of the group hangs, perhaps because of one folder: flush each separately.
            flushed = await _flush_each(lane, list(folders))
        assert isinstance(flushed, dict)
        return [one if isinstance(one, Attempt) else Attempt(one) for one in attempts], flushed

    async def _rename_when_released(
        self, lane: Lane, named: Sequence[Named], attempts: list[Any], folders: set[Path]
    ) -> None:
        """Try those again whose files another program holds, two seconds long, all together."""
        for number, pause in enumerate(PAUSES, 1):
            held = [index for index, attempt in enumerate(attempts) if _is_held(attempt)]
            if not held:
                return
            await anyio.sleep(pause)
            last = number == len(PAUSES)
            again: list[Call[Any]] = [
                self._rename(named[n], folders, attempts[n], last=last) for n in held
            ]
            for index, attempt in zip(held, await lane.each(again), strict=True):
                attempts[index] = attempt

    def _rename(
        self, one: Named, folders: set[Path], before: Attempt | None = None, *, last: bool = False
    ) -> Call[Attempt]:
        """The call that publishes a document; its folder is added to those to be flushed.

        before: the attempt before, whose file another program held. last: as in publish().
        """
        visible = before.unrestored if before else ()

        def rename(_: Heartbeat) -> Attempt:
            attempt = self._give_names(one, visible, last=last)
            if attempt.error is None:
                folders.add(one.plan.folder)
            return attempt

        return Call(one.plan.folder, rename, self._late(one))

    def _late(self, one: Named) -> Callable[[object], None]:
        """What to do with an attempt that returns after it was given up."""

        def late(attempt: object) -> None:
            visible = isinstance(attempt, Attempt) and attempt.error is None
            self._recovery.call_returned(one.plan.key, visible=visible)

        return late

    def _visible(self, one: Named, not_flushed: Mapping[Path, OSError]) -> WriteResult:
        """The result of a document that is visible: it is delivered only if that is durable."""
        error = not_flushed.get(one.plan.folder)
        if error is None:
            warn_of_repetition(one.plan, one.claim)
            return local_path(one.claim.path)
        self._recovery.remember(one.plan.key, visible=True)
        return not_durable(one.plan, error)

    def _left_to_recovery(self, one: Named, attempt: Attempt) -> bool:
        """Leave a failed attempt to recovery, unless nothing of the document can be visible."""
        if isinstance(attempt.error, Hanging) and attempt.error.started:
            self._recovery.wait_for_call(one.plan.key)
            return True
        if attempt.unrestored or one.sidecars != one.plan.sidecars:
            self._recovery.remember(one.plan.key, visible=False)
            return True
        return False


def _is_held(attempt: object) -> bool:
    return isinstance(attempt, Attempt) and attempt.held


async def _flush_each(lane: Lane, folders: Sequence[Path]) -> dict[Path, OSError]:
    def flush(folder: Path, _: Heartbeat) -> None:
        flush_folder(folder)

    errors = await lane.each([Call(folder, partial(flush, folder)) for folder in folders])
    return {folder: error for folder, error in zip(folders, errors, strict=True) if error}
