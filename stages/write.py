"""Stage 6, write: puts each document into its folder, whole and durable, under a unique name.

For a group of documents of one volume, in the lane of that volume:

1. plan: the folder and the name that each document is to have (delivery/plan.py);
2. stage: write temporary files and flush them together (delivery/temporary_files.py);
3. allocate: the ledger records them as staged, with their names (delivery/allocate.py);
4. publish: rename each to its final name and flush the folders (delivery/publish_group.py);
5. record: the ledger records them as delivered (delivery/record.py).

What a crash or a fault leaves between these steps is brought to its end by delivery/recovery.py.
docs/delivery.md explains why no crash loses or doubles a document.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio

from pipeline.document import Document, Key
from pipeline.ledger.ledger import Ledger
from pipeline.records import DeliveredTo
from pipeline.stage import Result
from stages.delivery.allocate import allocate_names
from stages.delivery.destinations import Destinations
from stages.delivery.document_files import remove_files
from stages.delivery.forward import remove_all
from stages.delivery.lanes import Lane, Lanes
from stages.delivery.plan import Plan, plan_of
from stages.delivery.publish_group import GroupPublisher
from stages.delivery.publish_shared import SharedPublisher
from stages.delivery.record import record_group
from stages.delivery.recovery import Recovery
from stages.delivery.recovery_alone import RecoveryAlone
from stages.delivery.recovery_shared import RecoveryShared
from stages.delivery.results import WriteResult
from stages.delivery.staging import Staging
from stages.delivery.staging_shared import SharedStaging
from stages.delivery.temporary_files import remove_temporary_files, stage_group
from stages.delivery.volumes import Volumes
from stages.model import Classified


class Write:
    """Delivers groups of documents; in each lane, one group at a time gets its names.

    staging: SharedStaging where several nodes share the ledger.
    destinations: what is known of their folders. recovery: completes the deliveries that this
    process or an earlier one left staged.
    """

    def __init__(
        self, ledger: Ledger, staging: Staging | SharedStaging, volumes: Volumes, lanes: Lanes
    ) -> None:
        self._ledger = ledger
        self._staging = staging
        self._volumes = volumes
        self._lanes = lanes
        self.destinations = Destinations(lanes)
        self.recovery: Recovery
        if isinstance(staging, SharedStaging):
            self.recovery = RecoveryShared(ledger, staging, volumes, lanes, self.destinations)
            self._publisher: GroupPublisher = SharedPublisher(ledger, self.recovery, staging)
            self._remove: Callable[[Path, Sequence[str]], None] = remove_all
        else:
            self.recovery = RecoveryAlone(ledger, staging, volumes, lanes, self.destinations)
            self._publisher = GroupPublisher(ledger, self.recovery)
            self._remove = remove_files

    async def work(self, documents: Sequence[Document[Classified]]) -> list[Result]:
        """Deliver a group; each document's result, in order."""
        self._lanes.refresh_mounts()
        # Before they are delivered: from then on a crash would leave them without their notes.
        notes = [(one.key, note) for one in documents for note in one.meta.notes]
        await self._ledger.note(notes, time.time())
        by_lane: dict[Lane, list[Plan]] = {}
        for document in documents:
            plan = plan_of(document)
            by_lane.setdefault(self._lanes.of(plan.folder), []).append(plan)
        results: dict[Key, WriteResult] = {}
        if len(by_lane) == 1:
            await self._deliver(*by_lane.popitem(), results)
        else:
            async with anyio.create_task_group() as lanes:
                for lane, plans in by_lane.items():
                    lanes.start_soon(self._deliver, lane, plans, results)
        return [_result(document, results[document.key]) for document in documents]

    async def _deliver(
        self, lane: Lane, plans: Sequence[Plan], results: dict[Key, WriteResult]
    ) -> None:
        """Deliver documents to the folders of one volume; each one gets its result."""
        if isinstance(self._staging, SharedStaging):
            folders = {plan.folder: plan.delivery.folder_mode for plan in plans}
            await self._staging.learn(lane, folders)
        staged = await stage_group(lane, plans, self._staging, self._volumes, results)
        # A stop waits from here on: a group that is published in part would need recovery.
        with anyio.CancelScope(shield=True):
            async with lane.publish_lock:
                named, unnamed = await allocate_names(self._ledger, staged)
                unpublished = await self._publisher.publish(lane, named, results)
                await record_group(self._ledger, named, unpublished, unnamed, results)
                # Only after the record: to recovery, a staged row without its file is delivered.
                unneeded = [(one.plan, one.staged) for one in unnamed]
                unneeded += [(one.plan, one.staged) for one in unpublished]
                await remove_temporary_files(lane, unneeded, self._remove)
        self.destinations.record(plans, results)


def _result(document: Document[Classified], result: WriteResult) -> Result:
    if not isinstance(result, Path):
        return result
    found = document.meta
    return document.with_meta(DeliveredTo(result, found.company.identifier, found.kind.value))
