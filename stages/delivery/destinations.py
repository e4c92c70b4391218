"""Destination states: which folders take documents, which refuse them and why, and the free space.

A folder is in trouble from the first document that it refuses until one is published there. Where
a group holds both, the folder works: what was refused concerns that document. For the event loop
alone.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio

from pipeline.document import Key
from pipeline.health.model import Trouble
from stages.delivery.lanes import Lane, Lanes
from stages.delivery.plan import Plan
from stages.delivery.results import WriteResult, folder_words
from stages.delivery.watchdog import Call, Heartbeat


class Destinations:
    """The destination folders that this process has touched."""

    def __init__(self, lanes: Lanes) -> None:
        self._delivered: Counter[tuple[str, str]] = Counter()
        self._lanes = lanes
        self._troubles: dict[Path, Trouble] = {}
        #: When each folder took a document last, and when one refused it last.
        self._taken: dict[Path, float] = {}
        self._refused: dict[Path, float] = {}
        #: Those whose volume is away, or another one.
        self._away: set[Path] = set()
        #: When a document was refused last, by its source and company; by the monotonic clock.
        self._refused_of: dict[tuple[str, str], float] = {}

    def record(self, plans: Sequence[Plan], results: Mapping[Key, WriteResult]) -> None:
        """Record what became of a group of documents."""
        taking: set[Path] = set()
        refusing: dict[Path, OSError] = {}
        for plan in plans:
            result = results[plan.key]
            if isinstance(result, Path):
                self._delivered[plan.key.source, plan.document.meta.kind.value] += 1
                taking.add(plan.folder)
            elif isinstance(result.__cause__, OSError):
                refusing[plan.folder] = result.__cause__
                company = plan.document.meta.company.identifier
                self._refused_of[plan.key.source, company] = time.monotonic()
        self.record_folders(taking, refusing)

    def record_folders(self, taking: set[Path], refusing: Mapping[Path, OSError]) -> None:
        """Record which folders have taken a document, and which have refused one."""
        now = time.time()
        for folder in taking:
            self._troubles.pop(folder, None)
            self._refused.pop(folder, None)
            self._away.discard(folder)
            self._taken[folder] = now
        for folder, error in refusing.items():
            if folder not in taking:
                self._refused[folder] = now
                known = self._troubles.get(folder)
                since = known.since if known else now
                self._troubles[folder] = Trouble(since, *folder_words(error))
                if error.errno == errno.ENODEV:
                    self._away.add(folder)
                else:
                    self._away.discard(folder)

    def record_seen(self, folders: set[Path]) -> None:
        """Record that the volumes of folders are there: those that were away work again."""
        for folder in self._away & folders:
            self._away.remove(folder)
            self._troubles.pop(folder, None)
            self._refused.pop(folder, None)

    @property
    def delivered(self) -> Mapping[tuple[str, str], int]:
        """Documents that have been published, by source and kind."""
        return self._delivered

    def troubles(self) -> Mapping[Path, Trouble]:
        """The folders that refuse documents, or hang, and why."""
        return self._troubles

    @property
    def away(self) -> frozenset[Path]:
        """The folders whose volume is away, or another one, as far as that is known."""
        return frozenset(self._away)

    @property
    def taken(self) -> Mapping[Path, float]:
        """When each folder took a document last, in seconds since 1970."""
        return self._taken

    @property
    def refused(self) -> Mapping[Path, float]:
        """When each folder that is in trouble refused a document last."""
        return self._refused

    def refused_of(self, source: str, since: float) -> set[str]:
        """The companies for which a folder has refused documents of a source since a moment.

        since: by the monotonic clock.
        """
        return {
            company
            for (name, company), at in self._refused_of.items()
            if name == source and at >= since
        }

    async def free_bytes(self, folders: Iterable[Path]) -> dict[Path, int | Trouble | None]:
        """The bytes that this account may still write to the disk of each folder.

        A Trouble where the disk hangs, which takes as long as its lane waits for any call; None
        where it can't be told. The folders themselves need not exist. Each volume is asked once, in
        its lane, so that one that hangs keeps no thread for each question.
        """
        self._lanes.refresh_mounts()
        by_lane: dict[Lane, list[Path]] = {}
        for folder in folders:
            by_lane.setdefault(self._lanes.of(folder), []).append(folder)
        found: dict[Path, int | Trouble | None] = {}

        async def ask(lane: Lane, its: Sequence[Path]) -> None:
            call = Call(Path(lane.volume), partial(_free, its[0]))
            (result,) = await lane.each([call], is_question=True)
            free = _answer(result)
            found.update(dict.fromkeys(its, free))

        async with anyio.create_task_group() as asking:
            for lane, its in by_lane.items():
                asking.start_soon(ask, lane, its)
        return found


def _free(folder: Path, _: Heartbeat) -> int:
    """Bytes free on the disk of a folder that may not have been made yet. OSError."""
    existing = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    return shutil.disk_usage(existing).free


def _answer(result: int | OSError) -> int | Trouble | None:
    if isinstance(result, int):
        return result
    if result.errno == errno.ETIMEDOUT:
        return Trouble(time.time(), *folder_words(result))
    return None
