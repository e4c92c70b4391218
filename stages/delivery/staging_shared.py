"""Shared staging: staging folders that several nodes use, on the volume of their destinations.

Where the temporary files of a folder lie is decided by whoever delivers there first, and the ledger
keeps it, with what the marker there says (markers.py). From then on nothing is written where that
marker is not seen. Leftovers are removed only of earlier processes of this node, once the ledger
lets nothing of theirs be staged any more.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from pipeline.durable import make_folder
from pipeline.ledger import takeover
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.takeover import Volume, mark_of
from pipeline.long_paths import local_path
from stages.delivery.lanes import Lane
from stages.delivery.markers import WrongVolume, check_marker, marker_of
from stages.delivery.peers import Peers
from stages.delivery.rename import renames_in_one_step
from stages.delivery.staging import NAME, TEMPORARY_NAME, make_own
from stages.delivery.watchdog import Call, Heartbeat


class SharedStaging:
    """The staging folders of a cluster.

    learn() and learn_places() are for the event loop, before the other methods are called for these
    folders by the threads of their lane. mount_of: the mount that holds a folder.
    """

    def __init__(
        self, ledger: Ledger, peers: Peers, mount_of: Callable[[Path], object] = lambda _: None
    ) -> None:
        self.peers = peers
        self._ledger = ledger
        self._mount_of = mount_of
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._volumes: dict[Path, Volume] = {}
        #: What the marker of each place says.
        self._uuids: dict[str, str] = {}
        self._refused: dict[Path, OSError] = {}
        self._swept: set[str] = set()
        self._tried: set[tuple[Path, Path]] = set()

    def new_name(self, digest: str) -> str:
        """A name for a temporary file that no other has, of any process; as in Staging."""
        return f"{digest}-{self.peers.mark}-{next(self._numbers):x}"

    def for_folder(self, folder: Path, mode: int) -> Path:
        """The staging folder for a destination, on its volume, whose marker is seen. OSError."""
        volume = self._volumes.get(folder)
        if volume is None:
            raise self._refused.get(folder) or _unknown(folder)
        place = local_path(volume.place)
        check_marker(place, volume.uuid)
        make_folder(folder, mode)
        make_own(place)
        with self._lock:
            is_tried = (folder, place) in self._tried
        if not is_tried:
            self._try(folder, place)
            with self._lock:
                self._tried.add((folder, place))
        return place

    def check(self, place: Path) -> None:
        """Raise WrongVolume unless a staging folder is on the volume that the ledger knows."""
        uuid = self._uuids.get(str(place))
        if not uuid:
            raise _unknown(place)
        check_marker(place, uuid)

    async def learn_places(self, places: Collection[str]) -> None:
        """Ask the ledger what the markers of staging folders say."""
        for place in places:
            if place not in self._uuids:
                uuid = await self._ledger.ask(partial(takeover.uuid_of, place))
                if uuid:
                    self._uuids[place] = uuid

    async def learn(self, lane: Lane, folders: Mapping[Path, int]) -> None:
        """Find out, or decide, where the temporary files of destinations lie; with their modes.

        Leftovers of earlier processes of this node are removed there.
        """
        new = {str(one): one for one in folders if one not in self._volumes}
        if not new:
            return
        known = await self._ledger.ask(partial(takeover.volumes, list(new)))
        unknown = [folder for text, folder in new.items() if text not in known]
        if unknown:
            known |= await self._decide(lane, {one: folders[one] for one in unknown})
        for text, folder in new.items():
            if text in known:
                self._volumes[folder] = known[text]
                self._uuids[known[text].place] = known[text].uuid
                self._refused.pop(folder, None)
        for place in {one.place for one in known.values()} - self._swept:
            await self._sweep(lane, Path(place))

    async def _decide(self, lane: Lane, folders: Mapping[Path, int]) -> dict[str, Volume]:
        """Decide for folders that the ledger does not know, unless another node is faster."""
        places: dict[Path, Path] = {}
        asked = await lane.each([Call(one, partial(self._place, one)) for one in folders])
        for one, place in zip(folders, asked, strict=True):
            if isinstance(place, OSError):
                self._refused[one] = place
            else:
                places[one] = place
        await self.learn_places({str(place) for place in places.values()})
        near = {one: await self._neighbours(one, place) for one, place in places.items()}
        marked = await lane.each(
            [
                Call(one, partial(self._mark, one, places[one], folders[one], near[one]))
                for one in places
            ]
        )
        found: dict[str, Volume] = {}
        for one, uuid in zip(places, marked, strict=True):
            if isinstance(uuid, OSError):
                self._refused[one] = uuid
            else:
                found[str(one)] = Volume(str(places[one]), uuid)
                self._refused[one] = _unknown(one)
        if not found:
            return {}
        return await self._ledger.change(partial(takeover.register, found))

    def _place(self, folder: Path, _: Heartbeat) -> Path:
        """Where the temporary files of a folder are to lie: as in Staging, never in state_dir."""
        if os.name == "nt":
            return folder / NAME
        parent = folder.parent
        if folder.is_dir() and not self._is_one(folder, parent):
            return folder / NAME
        return parent / NAME

    async def _neighbours(self, folder: Path, place: Path) -> Sequence[Volume]:
        """The places of some folders that have to be on the same volume as one that is not known.

        They are those beside it, or beside the folder that holds it, unless a mount is in between.
        """
        within = folder.parent.parent
        if str(place) in self._uuids or within == within.parent:
            return []
        ask = partial(takeover.neighbours, str(folder), f"{within}{os.sep}")
        return await self._ledger.ask(ask)

    def _mark(
        self, folder: Path, place: Path, mode: int, near: Sequence[Volume], _: Heartbeat
    ) -> str:
        """What the marker of a place says, which is made if nobody knows it. OSError.

        near: places of which one has to be seen first: else the volume is not there, and what is
        in its stead, an empty mount point for instance, would be taken for it for good.
        """
        known = self._uuids.get(str(place))
        if known:
            check_marker(place, known)
            return known
        mount = self._mount_of(folder)
        if mount == self._mount_of(folder.parent.parent):
            _see_one([one for one in near if self._mount_of(local_path(one.place)) == mount])
        make_folder(folder, mode)
        make_own(place)
        return marker_of(place)

    def _try(self, folder: Path, place: Path) -> None:
        """Raise WrongVolume where a file of this place can't get its name in one step."""
        if not self._is_one(folder, place):
            raise WrongVolume(
                f"the folder for temporary files, {place}, lies on another volume on this node",
                folder,
                "Mount the same volumes at the same paths on all nodes",
            )
        if not renames_in_one_step(place):
            raise WrongVolume(
                "its file system can't give a file a name in one step without replacing another"
                " file, which several nodes need (an NFS share can't)",
                folder,
                "Use a folder on a share of SMB (CIFS) or on a cluster file system",
            )

    def _is_one(self, one: Path, other: Path) -> bool:
        """Whether renames work between two folders."""
        same_mount = self._mount_of(one.resolve()) == self._mount_of(other.resolve())
        return same_mount and one.stat().st_dev == other.stat().st_dev

    async def _sweep(self, lane: Lane, place: Path) -> None:
        """Remove what earlier processes of this node have left in a staging folder."""
        (names,) = await lane.each([Call(place.parent, partial(self._leftovers, place))])
        if isinstance(names, OSError):
            return
        if names:
            marks = {mark_of(name) for name in names}
            kept = await self._ledger.change(partial(takeover.retire, marks))
            stems = {os.path.split(one)[1] for one in kept}
            unneeded = [one for one in names if one.partition(".")[0] not in stems]
            await lane.each([Call(place.parent, partial(_remove, place, unneeded))])
        self._swept.add(str(place))

    def _leftovers(self, place: Path, _: Heartbeat) -> Sequence[str]:
        """The names of the files of earlier processes of this node; none on another volume."""
        self.check(place)
        return [
            name
            for name in os.listdir(place)  # noqa: PTH208 - their names only
            if TEMPORARY_NAME.fullmatch(name) and self.peers.is_of_earlier(mark_of(name))
        ]


def _see_one(places: Sequence[Volume]) -> None:
    """Raise WrongVolume, or what the first one has brought, unless a marker is seen in one."""
    failure: OSError | None = None
    for one in places:
        try:
            check_marker(local_path(one.place), one.uuid)
        except OSError as error:
            failure = failure or error
        else:
            return
    if failure is not None:
        raise failure


def _remove(place: Path, names: Sequence[str], heartbeat: Heartbeat) -> None:
    for name in names:
        heartbeat()
        with suppress(OSError):
            (place / name).unlink(missing_ok=True)


def _unknown(folder: Path) -> WrongVolume:
    return WrongVolume(
        "another node has it on another volume, or the ledger does not know it yet",
        folder,
        "Mount the same volume there on all nodes",
    )
