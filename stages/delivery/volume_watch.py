"""Volume watch: looks every so often whether this node sees the volumes that the ledger knows.

So it is said before a document has to wait, also where this node is the one that sees them and
another has delivered into an empty mount point; and that a folder is there again is known before
the next document comes.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import anyio

from pipeline.ledger import takeover
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.takeover import Volume
from pipeline.long_paths import local_path
from stages.delivery.destinations import Destinations
from stages.delivery.lanes import Lane, Lanes
from stages.delivery.markers import WrongVolume, check_marker
from stages.delivery.watchdog import Call, Heartbeat

#: Seconds between two looks.
LOOK = 30.0
#: Folders of each mounted volume that are looked at each time: what is away is so for all of them.
FEW = 5


class VolumeWatch:
    """Looks at the folders that nodes deliver to. For the event loop alone."""

    def __init__(self, ledger: Ledger, lanes: Lanes, destinations: Destinations) -> None:
        self._ledger = ledger
        self._lanes = lanes
        self._destinations = destinations

    async def run(self, folders: Callable[[], Awaitable[Sequence[Path]]]) -> None:
        """Look again and again, until cancelled. folders: those of the configuration in force."""
        while True:
            await self.look(await folders())
            await anyio.sleep(LOOK)

    async def look(self, folders: Sequence[Path]) -> None:
        """Look at some folders of each volume, and at those that were away at the last look."""
        self._lanes.refresh_mounts()
        by_lane: dict[Lane, list[Path]] = {}
        for folder in folders:
            by_lane.setdefault(self._lanes.of(folder), []).append(folder)
        away = self._destinations.away.intersection(folders)
        async with anyio.create_task_group() as looking:
            for lane, its in by_lane.items():
                some = {*random.sample(its, min(FEW, len(its))), *away.intersection(its)}
                looking.start_soon(self._look, lane, some)

    async def _look(self, lane: Lane, folders: set[Path]) -> None:
        asked = [str(folder) for folder in folders]
        known = list((await self._ledger.ask(partial(takeover.volumes, asked))).items())
        calls = [Call(Path(folder), partial(_see, volume)) for folder, volume in known]
        found = await lane.each(calls, is_question=True)
        missing = {
            Path(folder): error
            for (folder, _), error in zip(known, found, strict=True)
            if isinstance(error, WrongVolume)
        }
        seen = {Path(folder) for (folder, _), error in zip(known, found, strict=True) if not error}
        self._destinations.record_seen(seen)
        self._destinations.record_folders(set(), missing)


def _see(volume: Volume, _: Heartbeat) -> None:
    check_marker(local_path(volume.place), volume.uuid)
