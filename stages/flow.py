"""The flow of a document after the list: the stages in their order.

A new stage is one file that says what it does to a document, and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from pipeline.document import Key
from pipeline.engine.breaker import Breaker
from pipeline.ledger.ledger import Ledger
from pipeline.stage import MEBIBYTE, Bound, Stage, Work, one_by_one
from stages import verify
from stages.classify import Classify
from stages.delivery.lanes import Lanes
from stages.delivery.staging import Staging
from stages.delivery.volumes import Volumes
from stages.download import Download
from stages.render import Render
from stages.write import Write


class Parts:
    """What the stages share; they keep their files in state_dir."""

    def __init__(self, state_dir: Path, ledger: Ledger, breaker: Breaker | None) -> None:
        self.download = Download(state_dir / "spool", breaker)
        self.lanes = Lanes()
        staging, volumes = (
            Staging(state_dir / "staging"),
            Volumes(state_dir / "volumes", self.lanes.is_mounted),
        )
        self.write = Write(ledger, staging, volumes, self.lanes)


class Step(Struct, frozen=True):
    """A stage before it is put together; workers, queue, group, linger: as in Stage."""

    name: str
    work: Callable[[Parts], Work]
    workers: int
    queue: Bound
    group: int = 1
    linger: float = 0.0


BOUND = Bound(64, 8 * MEBIBYTE)

FLOW = (
    Step("download", lambda it: one_by_one(it.download.process), 16, Bound(64, MEBIBYTE)),
    Step("verify", lambda _: one_by_one(verify.process), 2, BOUND, group=8),
    Step("classify", lambda _: one_by_one(Classify().process), 2, BOUND, group=8),
    Step("render", lambda it: one_by_one(Render(it.download.form).process), 4, BOUND),
    Step("write", lambda it: it.write.work, 2, Bound(256, 16 * MEBIBYTE), group=64, linger=0.02),
)

#: What [stages] of the configuration may size.
STAGE_NAMES = tuple(step.name for step in FLOW)


class Flow:
    """The stages, put together.

    breaker: says how patiently a source is to be asked.
    """

    def __init__(self, state_dir: Path, ledger: Ledger, breaker: Breaker | None = None) -> None:
        self._parts = parts = Parts(state_dir, ledger, breaker)
        self.stages = tuple(
            Stage(step.name, step.work(parts), step.workers, step.queue, step.group, step.linger)
            for step in FLOW
        )

    async def recover(self) -> None:
        """Settle what an earlier process left unfinished; before the first document flows."""
        await self._parts.write.settler.recover()

    async def finish(self, busy: Callable[[Key], bool]) -> None:
        """Settle what could not be settled so far, say for want of a folder that is back now.

        busy: whether a document is in flight.
        """
        await self._parts.write.settler.finish(busy)

    def close(self) -> None:
        """Let go of threads; nothing flows afterwards."""
        self._parts.lanes.close()
