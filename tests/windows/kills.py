"""Kills under load: the platform on Linux, the program for Windows and an importer under Wine.

    python -m tests.windows.kills [KILLS [SEED]] [--nodes N [--naive DESIGN]]

New documents arrive before each start, and the importer takes each file the moment it appears. In
the end every document must have been delivered and acknowledged exactly once. Not among the tests
that always run: 40 kills take some five minutes.

With --nodes it is so many nodes of a cluster that meet the faults, and some of them hang instead.
With --naive as well they are of a design that is known to be wrong (again, replace, early), and the
run has to fail.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.cluster.inside import NAIVE
from tests.crash.world import Taken, World, hosting
from tests.windows.kills_nodes import kill_nodes

ROOT = Path(__file__).parents[2]
RUN = [str(ROOT / "tests" / "windows" / "run"), "--python", "-m", "tests.windows.terminate"]
DOCUMENTS = 60


def main() -> None:
    """Run as many kills as the command line asks for, and print what came of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kills", nargs="?", type=int, default=40)
    parser.add_argument("seed", nargs="?", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=0)
    parser.add_argument("--naive", choices=NAIVE, default="")
    chosen = parser.parse_args()
    began = time.monotonic()
    if chosen.nodes:
        told, problems = kill_nodes(chosen.nodes, chosen.kills, chosen.seed, chosen.naive)
    else:
        told, problems = _kill(chosen.kills, chosen.seed)
    for problem in problems:
        print(problem)
    print(f"{told}; {len(problems)} problems; in {time.monotonic() - began:.0f} s")
    sys.exit(bool(problems))


def _kill(kills: int, seed: int) -> tuple[str, list[str]]:
    """Kill one program so often; what came of it in a line, and what is wrong."""
    with tempfile.TemporaryDirectory(prefix="synqup-windows-") as name, hosting() as host:
        folder = Path(name) / "world"
        with host.world(folder, DOCUMENTS, companies=3, seed=seed, latency=0.005) as world:
            status, hit = _terminate(world, kills, seed)
            problems = world.problems()
            if hit * 2 < kills:
                problems.append(f"no more than {hit} of {kills} kills came while files appeared")
            if status != 0:
                problems.append(f"the last catch-up ended with {status}")
            documents = len(world.manifest)
    return f"{kills} kills, {hit} of them while files appeared; {documents} documents", problems


def _terminate(world: World, kills: int, seed: int) -> tuple[int, int]:
    """Start and kill the program; the status of the catch-up at the end.

    And how many kills came after the importer had taken files of that run.
    """
    # Wine has the root of this system as its drive Z.
    paths = [f"Z:{path}".replace("/", "\\") for path in (world.config, world.state, world.out)]
    said: list[str] = []
    hit: set[str] = set()
    run = ""
    with subprocess.Popen(
        [*RUN, *paths, str(kills), str(seed)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            said.append(line)
            if line.startswith(("start ", "catch-up")):
                run = line
            if line.startswith("start "):
                world.grow(DOCUMENTS)
            elif line.startswith("took "):
                _, digest, path = line.rstrip("\n").split(" ", 2)
                hit.add(run)
                world.taken.append(Taken(digest, world.out / path))
            elif line.startswith("ended "):
                return int(line.split()[1]), len(hit - {"catch-up\n"})
    print("".join(said[-40:]))
    return -1, len(hit)


if __name__ == "__main__":
    main()
