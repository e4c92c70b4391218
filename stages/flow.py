"""Pipeline definition: all stages of a document, in order, as one table.

list > download > verify > classify > render > write. The list stage (`stages/list.py`) polls a
source and offers each new document to the first line of the table FLOW; each line hands its result
on to the next one. A new stage is one module in `stages/` and one line in the table: the engine
makes its workers and its queue from that line, and [stages] of the configuration accepts its name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from pipeline.document import Key
from pipeline.ledger.ledger import Ledger
from pipeline.stage import MEBIBYTE, Bound, RetryFetch, Stage, Work, one_by_one
from stages import verify
from stages.classify import Classify
from stages.delivery.destinations import Destinations
from stages.delivery.lanes import Lanes
from stages.delivery.peers import Peers
from stages.delivery.staging import Staging
from stages.delivery.staging_shared import SharedStaging
from stages.delivery.volume_watch import VolumeWatch
from stages.delivery.volumes import Volumes
from stages.download import Download, retry_as_source_says
from stages.render import Render
from stages.write import Write


class Shared:
    """What stages share with each other or keep open: made once, files in state_dir.

    peers: the other nodes that share the ledger; None without a cluster.
    """

    def __init__(
        self, state_dir: Path, ledger: Ledger, retry: RetryFetch, peers: Peers | None = None
    ) -> None:
        self.download = Download(state_dir / "spool", retry)
        self.lanes = Lanes()
        staging: Staging | SharedStaging
        if peers is None:
            staging = Staging(state_dir / "staging", self.lanes.mount_of)
        else:
            staging = SharedStaging(ledger, peers, self.lanes.mount_of)
        volumes = Volumes(state_dir / "volumes", self.lanes.is_mounted)
        self.write = Write(ledger, staging, volumes, self.lanes)
        self.volume_watch = VolumeWatch(ledger, self.lanes, self.write.destinations)


BOUND = Bound(32, 8 * MEBIBYTE)


class StageSpec(Struct, frozen=True):
    """One line of the table: a stage by its name, its work, and its default size.

    name: as it stands in [stages] of the configuration and in the log. work: makes the work of the
    stage out of what stages share. workers, queue, group, linger, asks: as in
    `pipeline.stage.Stage`.
    """

    name: str
    work: Callable[[Shared], Work]
    workers: int | None = 2
    queue: Bound = BOUND
    group: int = 1
    linger: float = 0.0
    asks: bool = False


#: The stages in their order, after list.
FLOW = (
    StageSpec(
        "download", lambda s: one_by_one(s.download.process), None, Bound(64, MEBIBYTE), asks=True
    ),
    StageSpec("verify", lambda _: one_by_one(verify.process), 2, BOUND, group=8),
    StageSpec("classify", lambda _: one_by_one(Classify().process), 2, BOUND, group=8),
    StageSpec(
        "render", lambda s: one_by_one(Render(s.download.fetch_form).process), 4, BOUND, asks=True
    ),
    StageSpec("write", lambda s: s.write.work, 2, Bound(192, 16 * MEBIBYTE), group=64, linger=0.05),
)

#: The names that [stages] of the configuration accepts.
STAGE_NAMES = tuple(spec.name for spec in FLOW)


class Flow:
    """The stages of the table, ready for the engine.

    retry: runs each fetch of a document; the circuit breaker of the engine. peers: the other nodes
    that share the ledger; None without a cluster.
    """

    def __init__(
        self,
        state_dir: Path,
        ledger: Ledger,
        retry: RetryFetch = retry_as_source_says,
        peers: Peers | None = None,
    ) -> None:
        self._shared = shared = Shared(state_dir, ledger, retry, peers)
        self.stages = tuple(
            Stage(
                spec.name,
                spec.work(shared),
                spec.workers,
                spec.queue,
                spec.group,
                spec.linger,
                spec.asks,
            )
            for spec in FLOW
        )

    def signs_of_life(self) -> dict[str, int]:
        """By stage, a number that grows while the stage gets on within one group of documents.

        Bytes arrive; a folder answers, or is given up because it does not.
        """
        arriving, writing = self._shared.download.chunks, self._shared.lanes.signs_of_life
        return {"download": arriving, "render": arriving, "write": writing}

    @property
    def destinations(self) -> Destinations:
        """What is known of the folders that documents are delivered to."""
        return self._shared.write.destinations

    async def watch_volumes(self, folders: Callable[[], Awaitable[Sequence[Path]]]) -> None:
        """Look every so often whether this node of a cluster sees the volumes of its destinations.

        folders: the destinations of the configuration in force.
        """
        await self._shared.volume_watch.run(folders)

    async def recover(self) -> None:
        """Recover what an earlier process left staged; call it before the first document flows."""
        await self._shared.write.recovery.recover()

    async def finish(self, is_in_flight: Callable[[Key], bool]) -> None:
        """Recover what could not be recovered before, say because a share was away.

        is_in_flight: whether a document is in flight; those are left alone.
        """
        await self._shared.write.recovery.retry(is_in_flight)

    def close(self) -> None:
        """Let go of the threads of the lanes; nothing may flow afterwards."""
        self._shared.lanes.close()
