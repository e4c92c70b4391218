"""What a process is to meet at its system calls, and what was recorded of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

#: After these a file may have become visible to others.
SHOWING = ("rename", "replace", "link", "renameat2", "linkat")

#: In place of an errno; see Fault.
HANGS = 0
VANISHES = -1


class Fault(NamedTuple):
    """Calls of this name on a path with `part` in it fail while the file `flag` exists.

    code: an errno; for "commit" SQLite says that the disk is full. HANGS: the call does not return
    for as long. VANISHES: somebody removes its first path just before it.
    """

    call: str
    part: str
    code: int
    flag: Path


class Plan(NamedTuple):
    """What to do at the calls that concern the folder `root`, the ledger, or the network.

    kill: the number of the call at which to die, of all or of those of these names (`among`);
    after: once it is done, not before it. patience: of the lanes to the folders, in seconds.
    record: a file that gets every call. importer: wait, after a file became visible, until
    somebody has taken it from below `importer`.
    """

    root: Path
    kill: int = 0
    after: bool = False
    record: Path | None = None
    importer: Path | None = None
    faults: tuple[Fault, ...] = ()
    among: tuple[str, ...] = ()
    patience: float = 10.0


class Snapshot(NamedTuple):
    """The ledger's files by path, as a commit left them. durable: it was flushed on return."""

    durable: bool
    files: dict[str, bytes | None]


class Call(NamedTuple):
    """One call as recorded: content is the file after a write, or the ledger's snapshot."""

    number: int
    name: str
    paths: tuple[str, ...]
    at: float
    content: Any = None
