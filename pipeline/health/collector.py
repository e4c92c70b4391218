"""Health collector: makes the Health of a running service out of what its parts know.

The engine, the sources and the folders tell from memory what they count anyway. What has to be read
from disks (counts of the ledger, free bytes) is read in the background, at most so often, and only
while somebody asks; a disk that hangs delays nobody.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import anyio

from pipeline.engine.observer import PollSnapshot
from pipeline.health.model import DestinationHealth, Health, SourceHealth, Trouble
from pipeline.health.progress import ProgressMonitor, VitalSigns
from pipeline.health.refreshed import Refreshed
from pipeline.ledger.counts import LedgerCounts
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import Unwritable
from pipeline.source import Source


class Deliveries(Protocol):
    """What is known of the folders that documents are delivered to."""

    @property
    def delivered(self) -> Mapping[tuple[str, str], int]:
        """Documents that have been delivered, by source and kind."""

    def troubles(self) -> Mapping[Path, Trouble]:
        """The folders that refuse documents, or hang, and why."""

    @property
    def taken(self) -> Mapping[Path, float]:
        """When each folder took a document last, in seconds since 1970."""

    @property
    def refused(self) -> Mapping[Path, float]:
        """When each folder that is in trouble refused a document last."""

    async def free_bytes(self, folders: Iterable[Path]) -> Mapping[Path, int | Trouble | None]:
        """The bytes free on the disk of each folder; a Trouble where the disk hangs."""


class Configured(Protocol):
    """What the configuration in force names."""

    def sources(self) -> Mapping[str, Source | None]:
        """Its sources by their names; None for one that can't be opened."""

    @property
    def paused(self) -> Mapping[str, tuple[float, str]]:
        """The sources that somebody has paused: since when, and by whom."""

    async def folders(self) -> Sequence[Path]:
        """Its destinations; the same object as long as they are the same."""


class Collector:
    """Tells the health of one running service. For the event loop alone.

    run() reads what takes time; without it, that stays unknown.
    """

    def __init__(
        self,
        vital_signs: Callable[[], VitalSigns],
        ledger: Ledger,
        deliveries: Deliveries,
        configured: Configured,
        state_dir: Path,
        shared_dir: Path | None = None,
    ) -> None:
        """shared_dir: the folder that all nodes share; None without a cluster."""
        self._vital_signs = vital_signs
        self._ledger = ledger
        self._deliveries = deliveries
        self._configured = configured
        self._state_dir = state_dir
        self._shared_dir = shared_dir
        self._started_at = time.time()
        self._progress = ProgressMonitor(math.inf)
        self._counts = Refreshed("the ledger", ledger.counts, LedgerCounts())
        self._disks: Refreshed[Mapping[Path, int | Trouble | None]]
        self._disks = Refreshed("free space", self._read_disks, {})
        #: The destinations as they were told last, and out of what.
        self._destinations: tuple[DestinationHealth, ...] = ()
        self._made_of: tuple[object, object, Mapping[Path, Trouble]] = (None, None, {})

    async def run(self) -> None:
        """Read, while somebody asks, what takes time; until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._counts.run)
            group.start_soon(self._disks.run)

    async def current(self) -> Health:
        """The health now. What is read from disks is some seconds old, or older where one hangs."""
        folders = await self._configured.folders()
        counts = await self._counts.get()
        disks = await self._disks.get()
        sources = self._configured.sources()
        signs = self._vital_signs()
        self._progress.observe(signs)
        snapshot = signs.snapshot
        paused = self._configured.paused
        polls = {name: one.poll for name, one in snapshot.sources.items()}
        return Health(
            at=snapshot.at,
            started_at=self._started_at,
            progress_at=snapshot.at - self._progress.silence,
            sources=tuple(
                _source(
                    name, source, polls.get(name, PollSnapshot()), *paused.get(name, (None, ""))
                )
                for name, source in sources.items()
            ),
            destinations=self._told(folders, disks),
            quarantined=counts.quarantined,
            waiting=counts.waiting,
            unacknowledged=counts.unacknowledged,
            staged=counts.staged,
            ledger_bytes=counts.bytes,
            disk_free=_free(disks.get(self._state_dir)),
            shared_free=_free(disks.get(self._shared_dir)) if self._shared_dir else None,
            state=_state(self._ledger.unwritable),
        )

    def _told(
        self, folders: Sequence[Path], disks: Mapping[Path, int | Trouble | None]
    ) -> tuple[DestinationHealth, ...]:
        """The destinations; made anew, for there may be thousands, only when something changed."""
        troubles = dict(self._deliveries.troubles())
        before = self._made_of
        if before[0] is not folders or before[1] is not disks or before[2] != troubles:
            self._made_of = (folders, disks, troubles)
            self._destinations = tuple(
                _destination(folder, troubles.get(folder), disks.get(folder)) for folder in folders
            )
        return self._destinations

    async def _read_disks(self) -> Mapping[Path, int | Trouble | None]:
        before = self._disks.value
        own = [one for one in (self._state_dir, self._shared_dir) if one is not None]
        folders = await self._configured.folders()
        found = await self._deliveries.free_bytes([*own, *folders])
        return {folder: _since(before.get(folder), now) for folder, now in found.items()}


def _free(disk: int | Trouble | None) -> int | None:
    return disk if isinstance(disk, int) else None


def _source(
    name: str, source: Source | None, poll: PollSnapshot, since: float | None, by: str
) -> SourceHealth:
    trouble = None
    if poll.failing_since is not None:
        trouble = Trouble(poll.failing_since, poll.reason, poll.remedy)
    ends_at = source.sign_in_ends_at if source is not None else None
    return SourceHealth(name, poll.succeeded_at, trouble, ends_at, since, by)


def _state(unwritable: Unwritable | None) -> Trouble | None:
    if unwritable is None:
        return None
    return Trouble(unwritable.since, unwritable.reason, unwritable.remedy)


def _destination(
    folder: Path, trouble: Trouble | None, disk: int | Trouble | None
) -> DestinationHealth:
    if isinstance(disk, Trouble):
        return DestinationHealth(str(folder), trouble or disk)
    return DestinationHealth(str(folder), trouble, disk)


def _since(before: int | Trouble | None, now: int | Trouble | None) -> int | Trouble | None:
    """What is found now; a trouble that goes on began when it was found first."""
    if isinstance(before, Trouble) and isinstance(now, Trouble):
        return Trouble(before.since, now.reason, now.remedy)
    return now
