"""The flow of a document after the list: the stages in their order.

A new stage is one file that says what it does to a document, and one line here.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.ledger import Ledger
from pipeline.queues import Bound
from pipeline.stage import MEBIBYTE, Stage, one_by_one
from stages.classify import Classify
from stages.download import Download
from stages.folders.staging import Staging
from stages.verify import Verify
from stages.write import Write

#: The names under [stages] of the configuration.
NAMES = ("download", "verify", "classify", "write")


class Flow:
    """The stages of one running program, which keep their files in state_dir."""

    def __init__(self, state_dir: Path, ledger: Ledger) -> None:
        download = Download(state_dir / "spool")
        self._write = write = Write(ledger, Staging(state_dir / "staging"))
        self.stages = (
            Stage("download", one_by_one(download.process), 16, Bound(64, MEBIBYTE)),
            Stage(
                "verify", one_by_one(Verify(download.process).process), 2, Bound(64, 8 * MEBIBYTE)
            ),
            Stage("classify", one_by_one(Classify().process), 2, Bound(64, 8 * MEBIBYTE)),
            Stage("write", write.work, 2, Bound(256, 16 * MEBIBYTE), group=64),
        )

    async def recover(self) -> None:
        """Settle what an earlier process left unfinished; before the first document flows."""
        await self._write.recover()
