"""Restoring steps: put the content of a backup in place of a state folder's, all or nothing.

The folder itself stays: it may be the mount point of a volume, and its lock is held. The content
lies ready within it, whole and durable, before anything is moved (commit); a process that dies
after that leaves steps that the next one, whichever it is, goes on with before it does anything:

    restore.part            being extracted; removed by whoever finds it
    restore.ready-STAMP     committed; what was there is being moved to before-restore-STAMP
    restore.placing-STAMP   what was there is away; the content is being moved up
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.durable import flush_folder, make_folder

PART = "restore.part"
READY = "restore.ready-"
PLACING = "restore.placing-"
BEFORE = "before-restore-"
#: A folder of such a step, or of the state from before a cluster.
STEP = re.compile(r"restore\.(part|(ready|placing)-\w+)|before-(restore|cluster)-\w+")
#: What stays where it is: the lock that is held, and the log.
STAYING = frozenset({"lock", "owner", "logs", "control.sock", "control.json"})
#: In the content, the names of further entries that stay, one a line; it is not moved up.
STAYING_TOO = "staying"


def is_replaceable(name: str) -> bool:
    """Whether an entry of a state folder gives way to what is restored."""
    return name not in STAYING and STEP.fullmatch(name) is None


def commit(state_dir: Path, stamp: str) -> None:
    """Take the content in restore.part for good; finish() follows. Raises OSError."""
    part = state_dir / PART
    for folder in (part, *(path for path in part.rglob("*") if path.is_dir())):
        flush_folder(folder)
    part.rename(state_dir / f"{READY}{stamp}")
    flush_folder(state_dir)


def finish(state_dir: Path) -> Path | None:
    """Go on with a restore that was committed, if there is one, and remove one that was not.

    The caller holds the lock. Returns where the earlier content is; None if there was none.
    Raises OSError.
    """
    before = None
    for ready in _steps(state_dir, READY):
        stamp = ready.name.removeprefix(READY)
        before = _move_away(state_dir, state_dir / f"{BEFORE}{stamp}", _staying(ready))
        ready.rename(state_dir / f"{PLACING}{stamp}")
        flush_folder(state_dir)
    for placing in _steps(state_dir, PLACING):
        (placing / STAYING_TOO).unlink(missing_ok=True)
        for path in sorted(placing.iterdir()):
            path.rename(state_dir / path.name)
        flush_folder(state_dir)
        placing.rmdir()
    if (state_dir / PART).exists():
        shutil.rmtree(state_dir / PART)
    return before


def _steps(state_dir: Path, prefix: str) -> Iterator[Path]:
    yield from sorted(path for path in state_dir.iterdir() if path.name.startswith(prefix))


def _staying(ready: Path) -> set[str]:
    try:
        return set((ready / STAYING_TOO).read_text("utf-8").splitlines())
    except FileNotFoundError:
        return set()


def _move_away(state_dir: Path, before: Path, staying: set[str]) -> Path | None:
    """Move all that gives way; where to, if there was anything, now or before a crash."""
    leaving = [
        path
        for path in sorted(state_dir.iterdir())
        if is_replaceable(path.name) and path.name not in staying
    ]
    if leaving:
        make_folder(before, 0o700)
        for path in leaving:
            path.rename(before / path.name)
        flush_folder(before)
        flush_folder(state_dir)
    return before if before.exists() else None
