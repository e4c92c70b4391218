"""Nodes: services of Synqup that bring one mailbox together, and what they took."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from benchmarks import ours
from benchmarks.dataset import Dataset
from benchmarks.failure import BenchmarkError
from benchmarks.measure import cpu_of, memory_of, usual_environment
from benchmarks.server import Server

#: Seconds in which everything has to be brought, in which a node has to end, and between two looks.
PATIENCE, ENDING, LOOK = 600.0, 30.0, 0.05


class Node:
    """One service. config: the path of its configuration, whose name is that of the node."""

    def __init__(self, config: Path) -> None:
        self.name = config.stem
        self._log = config.with_suffix(".log").open("wb")
        self.process = subprocess.Popen(
            [*ours.SYNQUP, "run", "--config", str(config)],
            cwd=ours.ROOT,
            env=usual_environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return cpu_of(self.process.pid)

    @property
    def memory(self) -> int:
        """Bytes of memory that it holds."""
        return memory_of(self.process.pid)

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.kill()
        self._log.close()


@contextmanager
def cluster(
    folder: Path, dataset: Dataset, server: Server, dsn: str, nodes: int
) -> Iterator[Sequence[Node]]:
    """So many nodes that deliver to the same folders, below `folder`/out."""
    (folder / "shared").mkdir()
    (folder / "dsn").write_text(dsn)
    text = ours.configure(folder, dataset, server.url, server.token_url).read_text()
    with ExitStack() as stack:
        started = []
        for name in [f"n{number}" for number in range(1, nodes + 1)]:
            config = folder / f"{name}.toml"
            section = (
                f'[cluster]\ndsn = {{ file = "dsn" }}\nshared_dir = "shared"\nnode = "{name}"\n'
            )
            own = text.replace('state_dir = "state"', f'state_dir = "state-{name}"')
            config.write_text(f"{own}\n{section}")
            started.append(stack.enter_context(Node(config)))
        yield started


def wait(nodes: Sequence[Node], is_so: Callable[[], bool]) -> None:
    """Wait until something is so. BenchmarkError where a node has ended, or nothing gets on."""
    until = time.monotonic() + PATIENCE
    while not is_so():
        ended = [one.name for one in nodes if one.process.poll() is not None]
        if ended or time.monotonic() > until:
            what = f"{ended[0]} has ended" if ended else "it does not get on"
            raise BenchmarkError(f"the nodes don't bring everything: {what}")
        time.sleep(LOOK)
