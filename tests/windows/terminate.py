"""Ends synqup with TerminateProcess at random moments, again and again; runs on Windows.

    python -m tests.windows.terminate CONFIG STATE OUT KILLS SEED

Prints a line before each start. Then it lets a catch-up run to its end, and prints its status.
Meanwhile it is the importer: it moves each file away the moment that it appears below OUT, and says
so. Most kills come after some files of a run, whatever time that takes: they hit deliveries.
An importer on Linux would not do: Wine says that a rename has failed if the file is moved on before
it has looked at it.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

SYNQUP = [sys.executable, "-c", "from pipeline.app.cli import main; main()"]
#: A quarter of the kills come so many seconds after a run holds the state folder, at most: while it
#: starts, on a machine that is slow.
LONGEST = 2.5
#: The others come after the importer has taken so many files more, at most, and a moment.
MOST_FILES = 50
MOMENT = 0.05
PATIENCE = 60


def main() -> None:
    """Kill as often as the command line says, then bring the rest."""
    config, owner = sys.argv[1], Path(sys.argv[2], "owner")
    out, kills, rng = Path(sys.argv[3]), int(sys.argv[4]), random.Random(sys.argv[5])
    ended = threading.Event()
    taken: list[str] = []
    importer = threading.Thread(target=take, args=(out, ended, taken))
    importer.start()
    for number in range(1, kills + 1):
        print(f"start {number}", flush=True)
        before, files = written(owner), len(taken)
        wanted = rng.choice((0, 1, 1, 1)) and rng.randint(1, MOST_FILES)
        process = subprocess.Popen([*SYNQUP, "run", "--config", config])
        try:
            until = time.monotonic() + PATIENCE
            while written(owner) == before and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            while (
                len(taken) < files + wanted and process.poll() is None and time.monotonic() < until
            ):
                time.sleep(0.001)
            time.sleep(rng.uniform(0, MOMENT if wanted else LONGEST))
            if (status := process.poll()) is not None:
                print(f"it has ended by itself, with {status}", flush=True)
        finally:
            process.kill()  # TerminateProcess
            process.wait()
    print("catch-up", flush=True)
    done = subprocess.run([*SYNQUP, "catch-up", "--config", config], check=False)
    ended.set()
    importer.join()
    print(f"ended {done.returncode}", flush=True)


def take(out: Path, ended: threading.Event, taken: list[str]) -> None:
    """Move files away until the end, and once more then. taken: gets the path of each."""
    away = out.parent / "taken"
    away.mkdir()
    last = False
    while not last:
        last = ended.is_set()
        for path in [path for path in out.glob("*/*/*") if path.is_file()]:
            target = away / str(len(taken))
            try:
                path.rename(target)
            except OSError:
                continue  # it is still held by who has renamed it
            taken.append(path.name)
            digest = sha256(target.read_bytes()).hexdigest()
            print(f"took {digest} {path.relative_to(out).as_posix()}", flush=True)
        time.sleep(0.001)


def written(path: Path) -> int:
    """When a file was written; 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


if __name__ == "__main__":
    main()
