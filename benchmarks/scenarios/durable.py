"""Scenario 3: on a real disk, where each document has to survive a power cut: the disk decides."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import plot
from benchmarks.failure import BenchmarkError
from benchmarks.measure import Run, alternate
from benchmarks.report import STANDING_COLUMNS, Report, standing_rows, standings
from benchmarks.server import serve
from benchmarks.workplace import Workplace, run_ours, run_storage

DOCUMENTS = 5_000
OURS = "Synqup, durable"
CEILINGS = {
    "write and fsync each": "write-fsync",
    "the same, 8 threads": "write-fsync-8",
    "write groups, fsync each after": "write-group",
    "write groups, one syncfs": "write-group-syncfs",
}


def measure(work: Workplace) -> Report:
    """Deliver durably, in turn with what the disk does when nothing else is asked of it."""
    dataset = work.dataset(work.documents or DOCUMENTS)
    work.disk.mkdir(parents=True, exist_ok=True)
    kind = file_system(work.disk)
    if kind in ("tmpfs", "ramfs"):
        raise BenchmarkError(f"{work.disk} is memory ({kind}); name a disk's folder with --disk")
    with serve(dataset.root) as server:
        contenders: dict[str, Callable[[], Run]] = {
            OURS: partial(run_ours, work.disk, dataset, server.url, server.token_url)
        }
        for name, what in CEILINGS.items():
            contenders[name] = partial(run_storage, what, work.disk, dataset.items)
        results = alternate(contenders, work.rounds(), work.tell)
    found = standings(results, OURS)
    return Report(
        scenario="durable",
        title=f"Durable: {len(dataset.items):,} documents on {kind}",
        columns=STANDING_COLUMNS,
        rows=standing_rows(found),
        charts={
            "durable": plot.bars(
                "Documents a second", "documents/s", {one.name: one.rate for one in found}, OURS
            )
        },
        data={
            "documents": len(dataset.items),
            "bytes": dataset.bytes,
            "file_system": kind,
            "standings": found,
        },
    )


def file_system(folder: Path) -> str:
    """What the folder's file system is called."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if os.path.commonpath([place, folder]) == place and len(place) > len(best[0]):
            best = (place, kind)
    return best[1]
