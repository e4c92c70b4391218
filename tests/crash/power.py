"""Power loss: what was not flushed is gone. A model of the disk, and trials on what it leaves.

A run is recorded once, call by call. For each call of it the power is cut just after, and the
tree is rebuilt as the disk may then hold it; a fresh synqup starts on that tree.

The model
- A file's bytes survive as they were at the last fsync of it; bytes written later, or never
  flushed, survive in no part, in part or whole.
- Names change one at a time and each change whole: a rename is never half there. Of the changes
  not yet flushed, POSIX promises nothing: flushing a folder keeps the changes of its own names
  alone, and of the others any may survive without those before them (`loose`). File systems with
  a journal of metadata (ext4, XFS, NTFS) keep a first part of the sequence, and each flush keeps
  all that came before it (`journal`).
- The ledger: SQLite's commits that have returned under synchronous = FULL are there, in the files
  as they stood when the commit returned. Those under NORMAL since then are gone, or any first part
  of them is there.
- An importer (`importer`, with `journal`): it took each file the instant that it appeared and
  made that durable, which by the same journal made durable the name too. One whose memory of
  the document is lost with the name imports it again rightly, and is `journal` without it.
- The platform is elsewhere: what it was told, it knows.
- A flush that failed flushed nothing.
- The program may have been killed before, and started again: what the first life left is on the
  disk as little as anything else that nobody flushed.

Left out: disks that lie about flushes, torn sectors, bit rot, journals off (ext2, FAT), the
order of SQLite's own writes within a commit, times and permissions of files, and a second
power loss during the restart.
"""

from __future__ import annotations

import errno
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from .kill import load
from .plan import SHOWING, Call, Fault, Plan, Snapshot
from .processes import KILLED
from .world import FOLDERS, Host, Taken


class Inode:
    """A file: its bytes now, and as they were when they were last flushed."""

    def __init__(self) -> None:
        self.now = b""
        self.flushed: bytes | None = None


class Left(NamedTuple):
    """A file that a power cut has left; those of the same number are one file under two names."""

    data: bytes
    number: int


#: By path; None for a folder.
Tree = dict[str, Left | None]


class Change:
    """One change of names: `gone` no longer stands, `name` names the inode (None: a folder)."""

    def __init__(self, gone: str, name: str, inode: Inode | None) -> None:
        self.gone = gone
        self.name = name
        self.inode = inode
        self.durable = False

    def touches(self, folder: str | None) -> bool:
        """Whether a name of this folder changes."""
        return any(path and str(Path(path).parent) == folder for path in (self.gone, self.name))


class Loss(NamedTuple):
    """How much a power cut takes: of what is not flushed all, or what a seed decides."""

    journal: bool
    importer: bool
    seed: int | None = None

    def __str__(self) -> str:
        parts = ["journal" if self.journal else "loose", "importer" * self.importer]
        return " ".join(filter(None, parts)) + ("" if self.seed is None else f" seed {self.seed}")


class Disk:
    """A tree below `root`, as it is and as a power cut would leave it."""

    def __init__(self, root: Path, loss: Loss) -> None:
        self.root = root
        self.out = f"{root / 'out'}/"
        self.loss = loss
        self.taken: list[bytes] = []
        self._now: dict[str, Inode | None] = {}
        self._changes: list[Change] = []
        #: As the last durable commit left it, and each one since, of which any may be the last.
        self._ledgers: list[Snapshot] = []

    def apply(self, call: Call) -> None:
        """Do what a recorded call did."""
        match call.name:
            case "create" | "write" | "truncate":
                self._write(call.paths[-1], call.content or b"")
            case "fsync" | "sync" | "syncfs":
                self._flush_as(call.name, call.paths[-1] if call.paths else "")
            case "mkdir" | "unlink" | "rmdir" | "rename" | "replace" | "renameat2" | "link":
                self._rename(call.name, call.paths[0], call.paths[-1])
        if isinstance(call.content, Snapshot):
            if call.content.durable:
                self._ledgers.clear()
                self._flush(lambda _: self.loss.journal)
            self._ledgers.append(call.content)

    def _write(self, path: str, data: bytes) -> None:
        inode = self._now.get(path)
        if inode is None:
            inode = Inode()
            self._change(Change("", path, inode))
        inode.now = data

    def _flush_as(self, name: str, path: str) -> None:
        everything = name != "fsync"
        inode = self._now.get(path)
        for one in self._now.values() if everything else [inode]:
            if one is not None:
                one.flushed = one.now
        here = path if inode is None else None
        self._flush(lambda change: everything or self.loss.journal or change.touches(here))

    def _rename(self, name: str, first: str, last: str) -> None:
        inode = self._now.get(first)
        match name:
            case "mkdir":
                self._change(Change("", last, None))
            case "unlink" | "rmdir":
                self._change(Change(first, "", None))
            case "link":
                self._change(Change("", last, inode))
                self._show(last, inode)
            case _:
                self._change(Change(first, last, inode))
                self._show(last, inode)

    def _change(self, change: Change) -> None:
        self._changes.append(change)
        self._now.pop(change.gone, None)
        if change.name:
            self._now[change.name] = change.inode

    def _flush(self, kept: Callable[[Change], bool]) -> None:
        for change in self._changes:
            if kept(change):
                change.durable = True

    def _show(self, path: str, inode: Inode | None) -> None:
        """A name appeared: an importer takes the file, and its journal flushes what led there."""
        if self.loss.importer and inode is not None and path.startswith(self.out):
            self.taken.append(inode.now)
            self._change(Change(path, "", None))
            self._flush(lambda _: True)

    def left(self, rng: random.Random) -> Tree:
        """What the disk holds after the cut."""
        open_ones = [change for change in self._changes if not change.durable]
        if self.loss.seed is None:
            lucky: set[Change] = set()
        elif self.loss.journal:
            lucky = set(open_ones[: rng.randint(0, len(open_ones))])
        else:
            lucky = {change for change in open_ones if rng.random() < 0.5}
        names: dict[str, Inode | None] = {str(self.root): None}
        for change in self._changes:
            if change.durable or change in lucky:
                names.pop(change.gone, None)
                if change.name:
                    names[change.name] = change.inode
        inodes = list(dict.fromkeys(inode for inode in names.values() if inode is not None))
        files = {inode: Left(self._bytes(inode, rng), n) for n, inode in enumerate(inodes)}
        tree: Tree = {path: inode and files[inode] for path, inode in names.items()}
        for number, (path, data) in enumerate(self._ledger(rng).items(), 1):
            if data is not None:
                tree[path] = Left(data, -number)
        return {path: file for path, file in tree.items() if _reachable(path, tree, self.root)}

    def _ledger(self, rng: random.Random) -> dict[str, bytes | None]:
        if not self._ledgers:
            return {}
        if self.loss.seed is not None:
            return rng.choice(self._ledgers).files
        return self._ledgers[0].files if self._ledgers[0].durable else {}

    def _bytes(self, inode: Inode, rng: random.Random) -> bytes:
        durable = inode.flushed or b""
        if self.loss.seed is None or inode.flushed == inode.now:
            return durable
        return rng.choice([durable, inode.now, inode.now[: len(inode.now) // 2]])


def _reachable(path: str, tree: Tree, root: Path) -> bool:
    parents = [str(one) for one in Path(path).parents if root in (*one.parents, one)]
    return all(parent in tree and tree[parent] is None for parent in parents)


class Recording(NamedTuple):
    """A run of synqup: its calls, where it lived, and when which document was acknowledged.

    began: when the last life of it began, in seconds since 1970.
    """

    root: Path
    documents: int
    calls: list[Call]
    told: list[tuple[float, str]]
    began: float


def record(
    host: Host, folder: Path, documents: int, kill: int = 0, *, unflushed: bool = False
) -> Recording:
    """Record a catch-up; kill: one that dies once so many files have been renamed, and the next.

    unflushed: one in which no folder of documents can be flushed, and the next, where they can.
    """
    with host.world(folder / "world", documents) as world:
        file = folder / "calls"
        plan = Plan(world.folder, record=file)
        life = time.time()
        before: list[Call] = []
        if unflushed:
            flag = folder / "unflushed"
            flag.touch()
            folders = world.make_folders()
            before = [Call(0, "mkdir", (str(one),), life) for one in folders]
            before.append(Call(0, "sync", (), life))
            faults = tuple(
                Fault(call, str(world.out), errno.EIO, flag) for call in ("fsync", "syncfs")
            )
            # Where acknowledgements have an order, what waits is a failure of the source as well.
            status = world.synqup("catch-up", plan=plan._replace(faults=faults))
            assert status in (1, 3), world.said()
            # What is not delivered, such as an answer, has its end in the ledger alone.
            held = {one["id"] for one in world.manifest}
            assert not world.acknowledged() & held, "told before it was durable"
            flag.unlink()
        if kill:
            dying = plan._replace(kill=kill, after=True, among=SHOWING)
            assert world.synqup("catch-up", plan=dying) == KILLED
        began = life if unflushed else time.time()
        assert world.synqup("catch-up", plan=plan) == 0, world.said()
        told = [(datetime.fromisoformat(one["at"]).timestamp(), one["id"]) for one in world.journal]
        return Recording(world.folder, documents, [*before, *load(file)], told, began)


def cuts(recording: Recording, every: int) -> list[int]:
    """The index of each n-th call of the last life."""
    return [i for i, call in enumerate(recording.calls) if call.at >= recording.began][::every]


class Trial(NamedTuple):
    """What came of one power cut, after the call of this index."""

    cut: int
    call: str
    loss: Loss
    problems: list[str]


def losses(seeds: int) -> list[Loss]:
    """The worst of each model, and some that seeds decide."""
    strict = [Loss(False, False), Loss(True, False), Loss(True, True)]
    return strict + [
        Loss(journal, importer, seed)
        for seed in range(1, seeds + 1)
        for journal, importer in ((False, False), (True, False), (True, True))
    ]


def try_all(
    host: Host, recording: Recording, cuts: Sequence[int], wanted: Sequence[Loss]
) -> Iterator[Trial]:
    """Cut the power after each of these calls; trees that were tried already are left out."""
    tried = set()
    for loss in wanted:
        disk = Disk(recording.root, loss)
        for index, call in enumerate(recording.calls):
            disk.apply(call)
            if index not in cuts:
                continue
            tree = disk.left(random.Random(f"{loss.seed}/{index}"))
            until = recording.calls[index + 1].at if index + 1 < len(recording.calls) else call.at
            told = [id_ for at, id_ in recording.told if at <= until]
            state = repr((sorted(tree.items(), key=str), disk.taken, told))
            digest = sha256(state.encode()).digest()
            if digest not in tried:
                tried.add(digest)
                problems = _restart(host, recording, tree, disk.taken, told)
                yield Trial(index, call.name, loss, problems)


def _restart(
    host: Host,
    recording: Recording,
    tree: Tree,
    taken: list[bytes],
    told: list[str],
) -> list[str]:
    shutil.rmtree(recording.root, ignore_errors=True)
    _build(tree)
    with host.world(recording.root, recording.documents, told=told) as world:
        by_digest = {one["sha256"]: one for one in world.manifest}
        world.take()
        status = world.synqup("catch-up")
        world.take()
        problems = [] if status == 0 else [f"the restart ended with {status}:\n{world.said()}"]
        # What the importer had before the cut counts with what it got since; its folder was right.
        before = [sha256(data).hexdigest() for data in taken]
        for digest in before:
            match = by_digest.get(digest)
            place = world.out / (match["company"] if match else "") / _folder(match)
            world.taken.append(Taken(digest, place / "taken before the cut"))
        return problems + world.problems()


def _build(tree: Tree) -> None:
    first: dict[int, Path] = {}
    for name, file in sorted(tree.items()):
        path = Path(name)
        if file is None:
            path.mkdir(parents=True, exist_ok=True)
        elif file.number in first:
            path.hardlink_to(first[file.number])
        else:
            path.write_bytes(file.data)
            first[file.number] = path


def _folder(document: dict[str, str] | None) -> str:
    return FOLDERS[document["kind"]] if document else ""
