"""Recovery by several nodes: what this node, or one that is not alive, has left staged.

Whoever resumes a document of another process first writes that into its row. Its temporary file
decides, and only where the marker of its volume is seen: if it is there, it gets its name; if it is
put aside, the document is taken back; if it is gone, somebody has given it its name. Only where
this process has staged it, and no other has begun to resume it, it was removed.

What this node can't finish (it does not see the volume, a folder refuses) is left to the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from msgspec import structs

from pipeline.durable import flush_folder, make_folder
from pipeline.ledger import takeover
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import Unfinished
from pipeline.ledger.takeover import node_of
from pipeline.long_paths import local_path
from stages.delivery.destinations import Destinations
from stages.delivery.document_files import free_number
from stages.delivery.forward import Kept, PutAside, go_forward, put_aside, remove_all
from stages.delivery.lanes import Lane, Lanes
from stages.delivery.markers import WrongVolume
from stages.delivery.publish import Vanished
from stages.delivery.recovery import VANISHED, Recovered, Recovery
from stages.delivery.staging_shared import SharedStaging
from stages.delivery.volumes import Volumes
from stages.delivery.watchdog import Call, Heartbeat

#: Why a document that was put aside has to be fetched again.
TAKEN_BACK = "its folder had refused it; it will be fetched again"


class RecoveryShared(Recovery):
    """Recovers what nobody else has in hand."""

    def __init__(
        self,
        ledger: Ledger,
        staging: SharedStaging,
        volumes: Volumes,
        lanes: Lanes,
        destinations: Destinations,
    ) -> None:
        super().__init__(ledger, volumes, lanes, destinations)
        self._staging = staging
        self._peers = staging.peers

    async def _unfinished(self) -> list[Unfinished]:
        return [one for one in await self._ledger.unfinished() if self._peers.may_resume(one)]

    async def _taken_up(self, lane: Lane, unfinished: Sequence[Unfinished]) -> list[Unfinished]:
        """Those that are staged still, on a volume that is seen; of another process claimed."""
        await self._staging.learn_places({str(local_path(one.staged).parent) for one in unfinished})
        unfinished = await self._on_volumes_that_are_seen(lane, unfinished)
        own = [one for one in unfinished if self._peers.is_own(one)]
        others = {one.key: one for one in unfinished if not self._peers.is_own(one)}
        if not others:
            return own
        claimant = self._peers.claimant
        rows = [(one.key, one.staged) for one in others.values()]
        claimed = await self._ledger.change(
            lambda connection: takeover.claim(rows, claimant, connection)
        )
        return own + [
            structs.replace(others[key], path=path, node=claimant) for key, path in claimed.items()
        ]

    async def _on_volumes_that_are_seen(
        self, lane: Lane, unfinished: Sequence[Unfinished]
    ) -> list[Unfinished]:
        """Those whose volume is seen; of the others this node keeps none in its hand."""
        places = list({local_path(one.staged).parent for one in unfinished})
        answers = await lane.each([Call(one, partial(self._look_at, one)) for one in places])
        unseen = {
            place: answer
            for place, answer in zip(places, answers, strict=True)
            if isinstance(answer, OSError)
        }
        seen: list[Unfinished] = []
        left: list[Unfinished] = []
        for one in unfinished:
            error = unseen.get(local_path(one.staged).parent)
            if error is None:
                seen.append(one)
                continue
            self._destinations.record_folders(set(), {Path(one.path).parent: error})
            self._log_postponed(one, error)
            if isinstance(error, WrongVolume) and node_of(one) == self._peers.node:
                left.append(one)
        for holder in {one.node for one in left}:
            await self._give_up([one for one in left if one.node == holder], holder)
        return seen

    def _look_at(self, place: Path, _: Heartbeat) -> None:
        self._staging.check(place)

    async def _recover_all(self, lane: Lane, unfinished: Sequence[Unfinished]) -> None:
        await super()._recover_all(lane, unfinished)
        others = [one for one in unfinished if not self._peers.is_own(one)]
        if others:
            # Of what has come to its end nothing changes.
            await self._give_up(others, self._peers.claimant)

    async def _give_up(self, rows: Sequence[Unfinished], holder: str) -> None:
        pairs, node = [(one.key, one.staged) for one in rows], self._peers.node
        await self._ledger.change(partial(takeover.give_up, pairs, holder, node))

    async def _record(
        self,
        lane: Lane,
        delivered: Sequence[Unfinished],
        lost: Sequence[tuple[Unfinished, Recovered]],
    ) -> Sequence[Unfinished]:
        now = time.time()
        rows = [(one.key, one.staged) for one in delivered]
        done = await self._ledger.change(partial(takeover.finish, rows, now)) if rows else set()
        back = [one for one, why in lost if why.is_aside]
        await self._ledger.unstaged([(one.key, one.staged, TAKEN_BACK) for one in back], now)
        gone = [(one.key, one.staged, why.lost) for one, why in lost if not why.is_aside]
        if gone:
            node = self._peers.node
            released = await self._ledger.change(partial(takeover.release, gone, node, now))
            back += [one for one, _ in lost if one.key in released]
        # Only after the ledger's answer: until then a row names them.
        await lane.each([Call(_folder(one), partial(_remove, one)) for one in back])
        return [one for one in delivered if one.key in done]

    def _recover(self, one: Unfinished, visible: bool | None, heartbeat: Heartbeat) -> Recovered:
        staged, target = local_path(one.staged), local_path(one.path)
        is_own = self._peers.is_own(one)
        self._staging.check(staged.parent)
        if not visible:
            self._volumes.check(target.parent)
            make_folder(target.parent, target.parent.parent.stat().st_mode & 0o777)
            attempt = go_forward(staged, one.sidecars, target)
            if attempt.taken:
                return Recovered(False, next_number=free_number(target, one.sidecars, 2))
            if isinstance(attempt.error, PutAside):
                return self._take_back(one)
            if isinstance(attempt.error, Vanished):
                # Seen once more: it may have gone away just before it was looked into.
                self._staging.check(staged.parent)
                if is_own:
                    return Recovered(False, lost=VANISHED)
            elif attempt.error is not None:
                return Recovered(False, error=attempt.error)
        heartbeat()
        try:
            if target.parent.is_dir():
                # Whoever gave it its name may not have done so.
                flush_folder(target.parent)
        except OSError as error:
            return Recovered(True, error=error)
        return Recovered(True, durable=True)

    def _take_back(self, one: Unfinished) -> Recovered:
        """Go on with taking back what another attempt has begun to take back."""
        if put_aside(local_path(one.staged), one.sidecars) is Kept.ASIDE:
            return Recovered(False, lost=TAKEN_BACK, is_aside=True)
        return Recovered(None)


def _folder(one: Unfinished) -> Path:
    return local_path(one.path).parent


def _remove(one: Unfinished, _: Heartbeat) -> None:
    remove_all(local_path(one.staged), one.sidecars)
