"""The same with strace: SIGKILL on entering the n-th system call of each sort, of each thread.

strace counts calls for each thread alone and delivers the signal before the call is made
(strace(1), "Tampering"), so "after a call" is "before the next one". It sees what the hook can't:
SQLite's own writes and flushes. (Not with --seccomp-bpf: there the signal comes to nothing.)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .processes import KILLED, PATIENCE
from .world import Host, World

ROOT = Path(__file__).parents[2]
PYTHON = [sys.executable, "-c", "from pipeline.app.cli import main; main()"]

#: What changes files or reaches the network. Those that only read are left out.
CALLS = (
    *("mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat", "unlink"),
    *("unlinkat", "rmdir", "write", "pwrite64", "writev", "pwritev", "ftruncate", "fallocate"),
    *("fsync", "fdatasync", "syncfs", "sendto", "sendmsg", "connect", "flock"),
    *("sendfile", "copy_file_range", "symlink", "chmod", "fchmod", "utimensat"),
)


class Step(NamedTuple):
    """The n-th call of a sort, in whichever thread comes to its n-th first."""

    call: str
    number: int


def usable() -> bool:
    """Whether strace is here and may trace."""
    strace = shutil.which("strace")
    if not strace:
        return False
    done = subprocess.run([strace, "-qq", "true"], capture_output=True, check=False)
    return done.returncode == 0


def steps(host: Host, folder: Path, documents: int) -> list[Step]:
    """Every step of a run that nothing disturbs."""
    with host.world(folder / "count", documents) as world:
        log = folder / "strace.log"
        _traced(world, ["-o", str(log), "-e", f"trace={','.join(CALLS)}"])
        counts: Counter[tuple[str, str]] = Counter()
        for line in log.read_text(errors="replace").splitlines():
            thread, _, rest = line.partition(" ")
            name, opens, _ = rest.strip().partition("(")
            if opens and name in CALLS:
                counts[name, thread] += 1
    longest: dict[str, int] = {}
    for (name, _), count in counts.items():
        longest[name] = max(longest.get(name, 0), count)
    return [Step(name, n) for name in sorted(longest) for n in range(1, longest[name] + 1)]


def try_steps(
    host: Host, folder: Path, documents: int, wanted: list[Step]
) -> Iterator[tuple[Step, bool, list[str]]]:
    """For each step: whether the run died there, and what is wrong after a restart."""
    for step in wanted:
        place = folder / "trial"
        shutil.rmtree(place, ignore_errors=True)
        with host.world(place, documents) as world:
            inject = f"inject={step.call}:signal=SIGKILL:when={step.number}"
            with world.importer():
                status = _traced(
                    world, ["-o", "/dev/null", "-e", f"trace={step.call}", "-e", inject]
                )
            with world.importer():
                last = world.synqup("catch-up")
            problems = [] if last == 0 else [f"the restart ended with {last}:\n{world.said()}"]
            yield step, status == KILLED, problems + world.problems()


def _traced(world: World, options: list[str]) -> int:
    done = subprocess.run(
        [
            *("strace", "-f", "-qq", *options, *PYTHON),
            *("catch-up", "--config", str(world.config)),
        ],
        cwd=ROOT,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode
