"""Shared publisher: publishes groups of documents while other nodes may resume some of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from pipeline.document import Key
from pipeline.ledger import takeover
from pipeline.ledger.ledger import Ledger
from pipeline.long_paths import local_name, local_path
from stages.delivery.allocate import Named
from stages.delivery.forward import Kept, PutAside, go_forward, put_aside
from stages.delivery.lanes import Lane
from stages.delivery.publish import Attempt, Vanished
from stages.delivery.publish_group import GroupPublisher
from stages.delivery.recovery import Recovery
from stages.delivery.results import WriteResult, taken_over
from stages.delivery.staging_shared import SharedStaging
from stages.delivery.watchdog import Call, Hanging, Heartbeat


class SharedPublisher(GroupPublisher):
    """As GroupPublisher; what is taken back is put aside first."""

    def __init__(self, ledger: Ledger, recovery: Recovery, staging: SharedStaging) -> None:
        super().__init__(ledger, recovery)
        self._staging = staging

    def _give_names(self, one: Named, visible: Sequence[str], *, last: bool) -> Attempt:  # noqa: ARG002 - what is visible stays so
        moved = {*visible, *(c for c in one.plan.sidecars if c not in one.sidecars)}
        attempt = go_forward(
            local_name(one.staged.staged),
            one.plan.sidecars,
            local_name(one.claim.path),
            visible=tuple(moved),
            is_own=True,
        )
        if isinstance(attempt.error, Vanished):
            # Said only of the right volume.
            self._staging.check(local_path(one.staged.staged).parent)
        return attempt

    async def _settle(
        self, lane: Lane, failed: Sequence[tuple[Named, Attempt]], results: dict[Key, WriteResult]
    ) -> list[Named]:
        gone = [one for one, attempt in failed if isinstance(attempt.error, Vanished)]
        refused = [one for one, attempt in failed if not isinstance(attempt.error, Vanished)]
        ended = await self._released(gone, results)
        kept = await lane.each(
            [Call(one.plan.folder, partial(_put_aside, one), self._late(one)) for one in refused]
        )
        for one, outcome in zip(refused, kept, strict=True):
            if outcome is Kept.ASIDE:
                ended.append(one)
            elif isinstance(outcome, Hanging) and outcome.started:
                self._recovery.wait_for_call(one.plan.key)
        return ended

    async def _released(
        self, gone: Sequence[Named], results: dict[Key, WriteResult]
    ) -> list[Named]:
        """Those whose files somebody has removed, so that they will be fetched again."""
        if not gone:
            return []
        rows = [(one.plan.key, one.staged.staged, str(results[one.plan.key])) for one in gone]
        node = self._staging.peers.node
        released = await self._ledger.change(partial(takeover.release, rows, node, time.time()))
        for one in gone:
            if one.plan.key not in released:
                results[one.plan.key] = taken_over(one.plan)
        return [one for one in gone if one.plan.key in released]

    def _left_to_recovery(self, one: Named, attempt: Attempt) -> bool:
        if isinstance(attempt.error, Vanished):
            return False
        return isinstance(attempt.error, PutAside) or super()._left_to_recovery(one, attempt)


def _put_aside(one: Named, _: Heartbeat) -> Kept:
    return put_aside(local_name(one.staged.staged), one.plan.sidecars)
