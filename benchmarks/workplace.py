"""Where a benchmark works: folders for the runs, made anew for each and removed after it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks import delivered, inside, ours
from benchmarks.dataset import Dataset, Item, render
from benchmarks.failure import BenchmarkError
from benchmarks.measure import Run, execute
from benchmarks.peers import CONNECTIONS, Peer, write_list

MEMORY = Path("/dev/shm")
#: How often each contender runs where the scenario says nothing else.
ROUNDS = 3


class Workplace(Struct, frozen=True):
    """What a scenario is given.

    documents, runs: how many, unless the scenario's own default holds. tell: shows how far it is.
    cache: rendered mailboxes. disk: a folder on a real disk. large: documents of a backlog that is
    watched while it is brought, and folder: where it goes, else into memory.
    """

    documents: int | None
    runs: int | None
    seed: int
    companies: int
    sizes: tuple[int, ...]
    ledger_rows: int
    large: int
    folder: Path | None
    cache: Path
    disk: Path
    tell: Callable[[str], None]

    def dataset(self, documents: int) -> Dataset:
        """Render so many documents, or find them rendered."""
        self.tell(f"{documents:,} documents")
        return render(self.cache, documents, self.companies, self.seed)

    def rounds(self, usual: int = ROUNDS) -> int:
        """How often each contender runs."""
        return self.runs or usual

    def memory(self) -> Path:
        """Memory-backed storage. BenchmarkError where there is none."""
        if not MEMORY.is_dir():
            raise BenchmarkError(f"there is no {MEMORY} here, which is memory-backed")
        return MEMORY


@contextmanager
def scratch(base: Path) -> Iterator[Path]:
    """A new folder with an empty `out` in it; it is removed with all that a run put there."""
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="synqup-benchmark-", dir=base) as temporary:
        folder = Path(temporary)
        (folder / "out").mkdir()
        yield folder


def run_ours(
    base: Path, dataset: Dataset, url: str, token_url: str, connections: int | None = None
) -> Run:
    """Bring everything by Synqup, and see that it is all there and told.

    connections: as in its configuration, else its default.
    """
    with scratch(base) as folder:
        config = ours.configure(folder, dataset, url, token_url, connections)
        run = execute(ours.catch_up(config), folder=ours.ROOT, documents=len(dataset.items))
        delivered.check(folder / "out", dataset.items)
        ours.check_ledger(config, len(dataset.items))
    return run


def run_peer(peer: Peer, base: Path, dataset: Dataset, url: str) -> Run:
    """Bring everything by a peer, and see that it is all there."""
    with scratch(base) as folder:
        command = peer.prepare(folder, url, dataset)
        run = execute(command, folder=folder, documents=len(dataset.items))
        delivered.check(folder / "out", dataset.items)
    return run


def observe(
    base: Path, dataset: Dataset, url: str, token_url: str, *options: str
) -> inside.Findings:
    """Run the pipeline with instruments in it, in a process of its own (benchmarks/inside.py)."""
    with scratch(base) as folder:
        config = ours.configure(folder, dataset, url, token_url)
        found = observe_configured(config, *options)
        delivered.check(folder / "out", dataset.items)
    return found


def observe_configured(config: Path, *options: str) -> inside.Findings:
    """The same by a configuration that there is."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.inside", str(config), *options],
        cwd=ours.ROOT,
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"benchmarks.inside ended with {done.returncode}")
    return msgspec.json.decode(done.stdout, type=inside.Findings)


def run_network(
    what: str, base: Path, items: Sequence[Item], url: str, connections: int = CONNECTIONS
) -> Run:
    """Fetch all documents and keep none (benchmarks/network.py)."""
    with scratch(base) as folder:
        listed = write_list(folder / "list.tsv", url, items)
        command = [
            *(sys.executable, "-m", "benchmarks.network", what, str(listed), str(connections))
        ]
        return execute(command, folder=ours.ROOT, documents=len(items))


def run_storage(what: str, base: Path, items: Sequence[Item]) -> Run:
    """Write as many files of the same sizes, and see that they are there."""
    with scratch(base) as folder:
        listed = write_list(folder / "list.tsv", "", items)
        out = folder / "out"
        command = [sys.executable, "-m", "benchmarks.storage", what, str(listed), str(out)]
        run = execute(command, folder=ours.ROOT, documents=len(items))
        delivered.check_sizes(out, items)
    return run
