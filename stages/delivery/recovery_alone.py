"""Recovery by the only process that uses a ledger.

What this process saw decides. Only for a document that an earlier process left does the temporary
file decide: if it is there, the document is not visible and is published now; if it is gone, the
document became visible, and only its folder has to be flushed.
"""

from __future__ import annotations

import errno
from pathlib import Path

import anyio

from pipeline.durable import flush_folder, make_folder
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import Unfinished
from pipeline.long_paths import local_path
from stages.delivery.destinations import Destinations
from stages.delivery.document_files import free_number, remove_files
from stages.delivery.lanes import Lanes
from stages.delivery.publish import Vanished, is_unpublished, resume
from stages.delivery.recovery import VANISHED, Recovered, Recovery
from stages.delivery.staging import Staging, is_private
from stages.delivery.volumes import Volumes
from stages.delivery.watchdog import Heartbeat

#: Why a staged document has to be fetched again.
ELSEWHERE = "its temporary file lies on another volume by now; it will be fetched again"
UNKNOWN = (
    "its temporary file is gone, and other accounts can write to that folder, so it may not have"
    " become visible; it will be fetched again"
)


class RecoveryAlone(Recovery):
    """Recovers what this process or an earlier one left staged."""

    def __init__(
        self,
        ledger: Ledger,
        staging: Staging,
        volumes: Volumes,
        lanes: Lanes,
        destinations: Destinations,
    ) -> None:
        super().__init__(ledger, volumes, lanes, destinations)
        self._staging = staging

    async def recover(self) -> None:
        """Recover what an earlier process left staged, and clear its other temporary files.

        To be called at the start, before the first document flows.
        """
        await self.retry(lambda _: False)
        kept = [Path(one.staged).name for one in await self._ledger.unfinished()]
        await anyio.to_thread.run_sync(self._staging.keep, kept)

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
