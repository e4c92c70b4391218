"""A worker process as the crash tests start it: with the hook, and plans of its own."""

from __future__ import annotations

import base64
import os
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

from . import hook

COMMAND = [sys.executable, "-P", "-m", __name__]

#: In the environment of all workers: what tells them apart from those of other runs.
RUN = "SYNQUP_CRASH_RUN"
#: In the environment of workers that have plans: these.
PLANS = "SYNQUP_CRASH_PLANS"


def be_known_by(output: Path) -> None:
    """Let the workers that this process starts be found by the file that their output goes to."""
    os.environ[RUN] = str(output)


def pass_on(plans: Sequence[hook.Plan]) -> None:
    """Give plans to the workers that this process starts.

    Those that start before any has died follow the first plan, those after one death the second,
    and so on; the last plan is for all that come after it. Each death leaves the plan's mark.
    """
    os.environ[PLANS] = base64.b64encode(pickle.dumps(tuple(plans))).decode()


def living(folder: Path) -> list[int]:
    """The processes that are workers of a run whose output goes below this folder."""
    known = f"{RUN}={folder}/".encode()
    return [pid for pid in _processes() if any(one.startswith(known) for one in _environment(pid))]


def _processes() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []  # it has ended, or is somebody else's


def _plan() -> hook.Plan:
    plans: tuple[hook.Plan, ...] = pickle.loads(base64.b64decode(os.environ[PLANS]))
    dead = sum(plan.mark is not None and plan.mark.exists() for plan in plans)
    plan = plans[min(dead, len(plans) - 1)]
    if plan.record is not None:
        plan = plan._replace(record=plan.record.with_name(f"{plan.record.name}-{os.getpid()}"))
    return plan


if __name__ == "__main__":
    hook.install()

    from pipeline.worker import main

    hook.arm(_plan())
    main()
