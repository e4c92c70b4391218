"""Ends synqup with TerminateProcess at random moments, again and again; runs on Windows.

    python -m tests.windows.terminate CONFIG STATE KILLS SEED

Prints a line before each start. Then it lets a catch-up run to its end, and prints its status.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

SYNQUP = [sys.executable, "-c", "from pipeline.app.cli import main; main()"]
#: Seconds from the moment that a run holds the state folder to its kill, at most.
LONGEST = 2.5
PATIENCE = 60


def main() -> None:
    """Kill as often as the command line says, then bring the rest."""
    config, owner = sys.argv[1], Path(sys.argv[2], "owner")
    rng = random.Random(sys.argv[4])
    for number in range(1, int(sys.argv[3]) + 1):
        print(f"start {number}", flush=True)
        before = written(owner)
        process = subprocess.Popen([*SYNQUP, "run", "--config", config])
        try:
            until = time.monotonic() + PATIENCE
            while written(owner) == before and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, LONGEST))
            if (status := process.poll()) is not None:
                print(f"it has ended by itself, with {status}", flush=True)
        finally:
            process.kill()  # TerminateProcess
            process.wait()
    print("catch-up", flush=True)
    done = subprocess.run([*SYNQUP, "catch-up", "--config", config], check=False)
    print(f"ended {done.returncode}", flush=True)


def written(path: Path) -> int:
    """When a file was written; 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


if __name__ == "__main__":
    main()
