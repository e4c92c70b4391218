"""Scenario 2: beside what one process can do with the same library and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks import plot
from benchmarks.measure import Run, alternate
from benchmarks.report import STANDING_COLUMNS, Report, standing_rows, standings
from benchmarks.server import serve
from benchmarks.workplace import Workplace, run_network, run_ours, run_storage

DOCUMENTS = 5_000
OURS = "Synqup, all of it"
NETWORK = {"GET and discard": "get", "GET and sha-256": "get-sha256"}
STORAGE = {
    "write only": "write",
    "write and fsync each": "write-fsync",
    "write groups, fsync each after": "write-group",
}


def measure(work: Workplace) -> Report:
    """Do one thing alone for the same documents, in turn with all of it; all in memory."""
    dataset = work.dataset(work.documents or DOCUMENTS)
    memory = work.memory()
    with serve(dataset.root) as server:
        contenders: dict[str, Callable[[], Run]] = {
            OURS: partial(run_ours, memory, dataset, server.url, server.token_url)
        }
        for name, what in NETWORK.items():
            contenders[name] = partial(run_network, what, memory, dataset.items, server.url)
        for name, what in STORAGE.items():
            contenders[name] = partial(run_storage, what, memory, dataset.items)
        results = alternate(contenders, work.rounds(), work.tell)
    found = standings(results, OURS)
    return Report(
        scenario="ceilings",
        title=f"Ceilings: {len(dataset.items):,} documents, one thing at a time, in memory",
        columns=STANDING_COLUMNS,
        rows=standing_rows(found),
        charts={
            "ceilings": plot.bars(
                "Documents a second", "documents/s", {one.name: one.rate for one in found}, OURS
            )
        },
        data={"documents": len(dataset.items), "bytes": dataset.bytes, "standings": found},
        notes=("fsync costs nothing in memory: the disk is in scenario durable",),
    )
