"""Ends and suspends nodes of a cluster at random moments and at steps; runs on Windows.

    python -m tests.windows.terminate_nodes FOLDER NODES FAULTS SEED [NAIVE]

FOLDER holds a folder n1, n2 and so on with the configuration of each. Prints a line for each start
and each fault, "more" as often as documents are to come, and "calm" when there is no fault any
more; then the nodes go on until there is a file `done`, and are asked to end. Whatever ends by
itself is started again. Meanwhile it is the importer of all, as in terminate.py.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from tests.crash.cluster.importer import PARTS
from tests.crash.cluster.inside import OPEN, RESUMING, STEPS
from tests.windows.node import HANG, wake

TICK = 0.05
#: Seconds after which more documents come.
MORE = 1.0
#: Seconds after which others no longer count on a node that is silent, and in which they look.
STALLED, LOOK = 16.0, 8.0
#: Seconds after which a node that has not come to its step, or to so many files, is killed.
BORED = 40.0
#: Files that are taken before a kill at a random moment, at most.
MOST_FILES = 40
PATIENCE = 100
DIE, RANDOM = "die", "random"


class Node:
    """One node, and what its process meets. ends: how its processes have ended."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.name = folder.name
        self.how = ""
        self.step = ""
        self.files = 0
        self.started_at = 0.0
        self.again_at = 0.0
        self.stands_since = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self._config = folder / "synqup.toml"
        self._said = stack.enter_context((folder / "said").open("ab"))
        self._sign, self._stop = folder / "sign", folder / "stop"

    @property
    def is_at_its_step(self) -> bool:
        return self._sign.exists()

    def start(self, how: str, step: str, number: int, naive: str) -> None:
        self._sign.unlink(missing_ok=True)
        self.how, self.step, self.stands_since = how, step, 0.0
        self.started_at = time.monotonic()
        fate = f"{step},{number},{how},{naive}"
        own = [str(one) for one in (self._sign, self._stop)]
        command = [sys.executable, "-m", "tests.windows.node", fate, *own]
        self.process = subprocess.Popen(
            [*command, "run", "--config", str(self._config)], stdout=self._said, stderr=self._said
        )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()  # TerminateProcess
        self.process.wait()

    def wake(self) -> None:
        assert self.process is not None
        self.how = ""
        wake(int(self.process._handle))  # type: ignore[attr-defined]

    def end(self) -> int:
        """Ask it to end; its status."""
        if self.process is None:
            return -1
        self._stop.touch()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return -1


class Torture:
    """Nodes that meet so many faults. taken: grows with each file that the importer has taken."""

    def __init__(
        self, nodes: list[Node], faults: int, seed: str, naive: str, taken: list[str]
    ) -> None:
        self._nodes = nodes
        self._left = faults
        self._naive = naive
        self._rng = random.Random(seed)
        self._taken = taken

    def run(self, done: Path) -> None:
        """Let them meet all faults, and go on until there is a file."""
        is_over, more_at = False, 0.0
        while not (is_over and done.exists()):
            if not is_over and time.monotonic() >= more_at:
                say("more")
                more_at = time.monotonic() + MORE
            for node in self._nodes:
                self._look(node)
            if not is_over and self._left <= 0 and all(map(self._is_calm, self._nodes)):
                is_over = True
                say("calm")
            time.sleep(TICK)

    def _is_calm(self, node: Node) -> bool:
        return node.process is not None and node.process.poll() is None and not node.how

    def _look(self, node: Node) -> None:
        now = time.monotonic()
        if node.process is None or (status := node.process.poll()) is not None:
            if node.process is not None:
                self._ended(node, status)
                node.process = None
            elif now >= node.again_at:
                self._start(node)
        elif node.how == HANG and node.is_at_its_step:
            node.stands_since = node.stands_since or now
            if now > node.stands_since + STALLED + LOOK:
                self._struck(f"{node.name} hung: {node.step}")
                node.wake()
        elif node.how and not node.is_at_its_step:
            comes_now = node.how == RANDOM and len(self._taken) >= node.files
            if comes_now or now > node.started_at + BORED:
                time.sleep(self._rng.uniform(0, TICK))
                self._struck(f"{node.name} killed{'' if comes_now else ', bored'}")
                node.how = ""
                node.kill()

    def _ended(self, node: Node, status: int) -> None:
        now = time.monotonic()
        node.again_at = now
        if node.how == DIE and node.is_at_its_step:
            self._struck(f"{node.name} died: {node.step}")
            # By turns it goes on itself, or others have to.
            node.again_at += self._rng.choice((0.0, STALLED + LOOK))
        else:
            say(f"{node.name} has ended with {status}")
            node.again_at += 0.3
        node.how = ""

    def _struck(self, what: str) -> None:
        self._left -= 1
        say(f"fault {what}")

    def _start(self, node: Node) -> None:
        armed = [one for one in self._nodes if one.how and one is not node]
        how, step = "", ""
        if self._left > len(armed) and len(armed) < len(self._nodes) - 1:
            how = self._rng.choice((DIE, DIE, HANG, RANDOM))
            node.files = len(self._taken) + self._rng.randint(1, MOST_FILES)
            if how != RANDOM:
                # RESUMING is passed only where another node has left something.
                is_open = any(one.step in OPEN for one in armed)
                luck = self._rng.random()
                others = [one for one in STEPS if one not in RESUMING]
                step = self._rng.choice(
                    RESUMING if is_open and luck < 0.3 else OPEN if luck < 0.8 else others
                )
        number = 1 if step in RESUMING else self._rng.randint(1, 3)
        say(f"start {node.name} {how} {step}")
        node.start(how, step, number, self._naive)


def take(out: Path, away: Path, ended: threading.Event, taken: list[str]) -> None:
    """Move files away until the end, and once more then. taken: gets the name of each."""
    last = False
    while not last:
        last = ended.is_set()
        for path in [path for path in out.glob("*/*/*") if path.is_file()]:
            parts = (f"{len(taken):06}", *path.relative_to(out).parts)
            try:
                path.rename(away / PARTS.join(parts))
            except OSError:
                continue  # it is still held by who has renamed it
            taken.append(path.name)
        time.sleep(0.001)


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    """Do what the command line says."""
    folder, count, faults, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    naive = "".join(sys.argv[5:])
    ended = threading.Event()
    taken: list[str] = []
    importer = threading.Thread(target=take, args=(folder / "out", folder / "taken", ended, taken))
    importer.start()
    with ExitStack() as stack:
        nodes = [Node(folder / f"n{number}", stack) for number in range(1, count + 1)]
        try:
            Torture(nodes, faults, seed, naive, taken).run(folder / "done")
            statuses = [node.end() for node in nodes]
        finally:
            for node in nodes:
                if node.process is not None:
                    node.kill()
            ended.set()
            importer.join()
    say(f"ended {statuses}")


if __name__ == "__main__":
    main()
