"""Staging: writes the temporary files of a group of documents and flushes them as a group.

A document counts as staged once its temporary files and their names are durable. It is not visible
then, and the ledger does not know of it yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.document import Key
from pipeline.durable import flush_file, flush_folder
from pipeline.ledger.models import Staged
from pipeline.long_paths import StrPath, local_name, local_path
from stages.delivery.document_files import (
    file_path,
    free_number,
    remove_files,
    sidecar_path,
    write_file,
)
from stages.delivery.fsync import MIN_GROUP, Volume, can_flush_volumes, flush_names
from stages.delivery.lanes import Lane
from stages.delivery.plan import Plan, staged_row
from stages.delivery.results import WriteResult, not_staged
from stages.delivery.staging import Staging
from stages.delivery.staging_shared import SharedStaging
from stages.delivery.volumes import Volumes
from stages.delivery.watchdog import Call, Heartbeat


async def stage_group(
    lane: Lane,
    plans: Sequence[Plan],
    staging: Staging | SharedStaging,
    volumes: Volumes,
    results: dict[Key, WriteResult],
) -> list[tuple[Plan, Staged]]:
    """Write the temporary files of a group and make them durable; returns the staged documents.

    The others get their result: they wait, and what was written of them is removed.
    """
    files = TemporaryFiles(staging, volumes, len(plans))
    calls: list[Call[Any]] = [
        *(Call(plan.folder, partial(files.write, plan), _discard) for plan in plans),
        Call(Path(lane.volume), files.flush),
    ]
    *written, flushed = await lane.each(calls)
    staged: list[tuple[Plan, Staged]] = []
    failed: dict[Key, OSError] = {}
    for plan, one in zip(plans, written, strict=True):
        if isinstance(one, Staged):
            staged.append((plan, one))
        elif isinstance(one, OSError):
            failed[plan.key] = one
    if isinstance(flushed, OSError):
        # The flush of the group hangs, perhaps because of one folder: flush each one separately.
        flushed = await _flush_each(lane, staged)
    assert isinstance(flushed, dict)
    await remove_temporary_files(lane, [pair for pair in staged if pair[0].key in flushed])
    failed |= flushed
    results |= {p.key: not_staged(p, failed[p.key]) for p in plans if p.key in failed}
    return [pair for pair in staged if pair[0].key not in failed]


async def remove_temporary_files(
    lane: Lane,
    documents: Sequence[tuple[Plan, Staged]],
    remove_of: Callable[[Path, Sequence[str]], None] = remove_files,
) -> None:
    """Remove temporary files that are not needed.

    remove_of: removes those of one document, by its temporary file and its sidecars. A file that
    can't be removed stays until a later process clears the temporary folder.
    """

    def remove(one: Staged, _: Heartbeat) -> None:
        remove_of(local_path(one.staged), one.sidecars)

    if documents:
        await lane.each([Call(plan.folder, partial(remove, one)) for plan, one in documents])


class TemporaryFiles:
    """The temporary files of one group; its methods are for the threads of one lane, in turn.

    size: documents of the group. From MIN_GROUP on their volume is flushed once instead of each
    file, where the system can do that.
    """

    def __init__(self, staging: Staging | SharedStaging, volumes: Volumes, size: int) -> None:
        self._staging = staging
        self._mounted = volumes
        self._flush_volumes = size >= MIN_GROUP and can_flush_volumes()
        self._places: dict[Path, Path] = {}
        self._opened: set[Path] = set()
        self._volumes: dict[int, Volume] = {}
        self._written: list[Staged] = []

    def write(self, plan: Plan, heartbeat: Heartbeat) -> Staged:
        """Write the temporary files of a document. They are durable after flush(). OSError."""
        place = self._place(plan)
        name = self._staging.new_name(plan.key.digest)
        staged = os.path.join(str(place), name)  # noqa: PTH118 - a fifth of the time
        local = local_name(staged)
        mode, flush = plan.delivery.file_mode, not self._flush_volumes
        document = plan.document
        assert document.payload is not None
        written: list[StrPath] = []
        try:
            for payload, path in (
                (document.payload, local),
                *((one.payload, file_path(local, one.extension)) for one in document.sidecars),
            ):
                write_file(payload, path, mode, heartbeat, flush=flush)
                written.append(path)
            # For a single file the rename finds out whether a name is taken. Sidecars become
            # visible before that, so a free name is looked up beforehand.
            first = free_number(plan.target, plan.sidecars) if plan.sidecars else 1
            row = staged_row(plan, staged, first)
        except OSError:
            for path in written:
                with suppress(OSError):
                    Path(path).unlink()
            raise
        self._written.append(row)
        return row

    def flush(self, _: Heartbeat) -> dict[Key, OSError]:
        """Make all that was written durable; the documents for which that failed, and why."""
        if not self._flush_volumes:
            failed = flush_names(set(self._places.values()))
            return {
                one.key: failed[place]
                for one in self._written
                if (place := local_path(one.staged).parent) in failed
            }
        try:
            for volume in self._volumes.values():
                volume.flush()
        except OSError:
            # One file of many may be the cause: flush each document separately to find out.
            return {one.key: error for one in self._written if (error := _flush_document(one))}
        finally:
            while self._volumes:
                self._volumes.popitem()[1].close()
        return {}

    def _place(self, plan: Plan) -> Path:
        """The temporary folder for a document, ready to be written to. OSError."""
        place = self._places.get(plan.folder)
        if place is None:
            self._mounted.check(plan.folder)
            place = self._staging.for_folder(plan.folder, plan.delivery.folder_mode)
            self._places[plan.folder] = place
            if self._flush_volumes and place not in self._opened:
                self._opened.add(place)
                # Opened before the first write: syncfs reports the errors since then.
                volume = place.stat().st_dev
                if volume not in self._volumes:
                    self._volumes[volume] = Volume(place)
        return place


async def _flush_each(lane: Lane, staged: Sequence[tuple[Plan, Staged]]) -> dict[Key, OSError]:
    def flush(one: Staged, _: Heartbeat) -> OSError | None:
        return _flush_document(one)

    errors = await lane.each([Call(plan.folder, partial(flush, one)) for plan, one in staged])
    return {plan.key: error for (plan, _), error in zip(staged, errors, strict=True) if error}


def _flush_document(staged: Staged) -> OSError | None:
    """Make the temporary files of one document durable, and their names; the error if it fails."""
    path = local_path(staged.staged)
    try:
        for extension in ("", *staged.sidecars):
            flush_file(sidecar_path(path, extension))
        flush_folder(path.parent)
    except OSError as error:
        return error
    return None


def _discard(staged: Staged | OSError) -> None:
    """Remove the files of a document that were written only after the call was given up."""
    if isinstance(staged, Staged):
        with suppress(OSError):
            remove_files(local_path(staged.staged), staged.sidecars)
