"""The temporary files of a group of documents: written one by one, flushed together."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pipeline.document import Key
from pipeline.durable import flush_file, flush_folder
from pipeline.ledger.models import Staged
from stages.delivery.fsync import WORTH_IT, Volume, can_flush_volumes, flush_names
from stages.delivery.plan import Plan, staged_row
from stages.delivery.publish import free_number, remove, sidecar, write_file
from stages.delivery.staging import Staging
from stages.delivery.volumes import Volumes
from stages.delivery.watchdog import Heartbeat


class Batch:
    """Made for one group; its methods are for the threads of one lane, one at a time.

    size: documents of the group. Where they are many, their volume is flushed once in place of
    each file.
    """

    def __init__(self, staging: Staging, volumes: Volumes, size: int) -> None:
        self._staging = staging
        self._known = volumes
        self._grouped = size >= WORTH_IT and can_flush_volumes()
        self._places: dict[Path, Path] = {}
        self._opened: set[Path] = set()
        self._volumes: dict[int, Volume] = {}
        self._written: list[Staged] = []

    def write(self, plan: Plan, heartbeat: Heartbeat) -> Staged:
        """Write the temporary files of a document, which flush() has to follow. OSError."""
        place = self._place(plan)
        staged = place / self._staging.new_name(plan.key.digest)
        mode, flush = plan.delivery.file_mode, not self._grouped
        document = plan.document
        assert document.payload is not None
        written: list[Path] = []
        try:
            for payload, path in (
                (document.payload, staged),
                *((one.payload, sidecar(staged, one.extension)) for one in document.sidecars),
            ):
                write_file(payload, path, mode, heartbeat, flush=flush)
                written.append(path)
            # The rename finds out whether a name is taken; what goes beside a document ought not to
            # be seen meanwhile.
            first = free_number(plan.target, plan.sidecars) if plan.sidecars else 1
            row = staged_row(plan, staged, first)
        except OSError:
            for path in written:
                with suppress(OSError):
                    path.unlink()
            raise
        self._written.append(row)
        return row

    def flush(self, _: Heartbeat) -> dict[Key, OSError]:
        """Make all that was written durable; the documents where that failed, and why."""
        if not self._grouped:
            failed = flush_names(set(self._places.values()))
            return {
                one.key: failed[place]
                for one in self._written
                if (place := Path(one.staged).parent) in failed
            }
        try:
            for volume in self._volumes.values():
                volume.flush()
        except OSError:
            # One file of many may be at fault: each has to answer for itself.
            return {one.key: error for one in self._written if (error := flush_alone(one))}
        finally:
            while self._volumes:
                self._volumes.popitem()[1].close()
        return {}

    def _place(self, plan: Plan) -> Path:
        place = self._places.get(plan.folder)
        if place is None:
            self._known.check(plan.folder)
            place = self._staging.for_folder(plan.folder, plan.delivery.folder_mode)
            self._places[plan.folder] = place
            if self._grouped and place not in self._opened:
                self._opened.add(place)
                # Opened before anything is written there: it is flushed from here on.
                volume = place.stat().st_dev
                if volume not in self._volumes:
                    self._volumes[volume] = Volume(place)
        return place


def flush_alone(staged: Staged) -> OSError | None:
    """Make the temporary files of one document durable by themselves."""
    path = Path(staged.staged)
    try:
        for extension in ("", *staged.sidecars):
            flush_file(sidecar(path, extension))
        flush_folder(path.parent)
    except OSError as error:
        return error
    return None


def discard(staged: Staged | OSError) -> None:
    """Remove the temporary files of a document that nobody waits for any more."""
    if isinstance(staged, Staged):
        with suppress(OSError):
            remove(Path(staged.staged), staged.sidecars)
