"""Scenario 10: starting: what it takes until something happens, beside starting Python alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks import ours, plot
from benchmarks.dataset import Dataset
from benchmarks.failure import BenchmarkError
from benchmarks.measure import (
    Figure,
    Run,
    alternate,
    cpu_of,
    execute,
    figure,
    memory_of,
    ratio,
    usual_environment,
)
from benchmarks.report import Report
from benchmarks.server import Server, serve
from benchmarks.workplace import Workplace, scratch

#: Starts are short and vary much.
ROUNDS = 5
#: Documents that wait when the first of them is looked for.
DOCUMENTS = 100
#: Seconds between two looks for the first file, and until it has to be there.
LOOK, PATIENCE = 0.002, 60.0

BARE = "python, the libraries imported"
LIBRARIES = (sys.executable, "-c", "import aiohttp, lxml.etree, msgspec, sqlite3")
HELP = "synqup --help"
EMPTY = "catch-up, nothing there"
FIRST = "catch-up, to the first file"


def measure(work: Workplace) -> Report:
    """Start, in turn, Python alone, the help, a catch-up of nothing, and one up to its first file.

    Each has run once before, so that Python has compiled what it imports.
    """
    memory = work.memory()
    nothing, some = work.dataset(0), work.dataset(work.documents or DOCUMENTS)
    with serve(nothing.root) as idle, serve(some.root) as server:
        contenders: dict[str, Callable[[], Run]] = {
            BARE: partial(execute, LIBRARIES, folder=ours.ROOT, documents=1),
            HELP: partial(execute, [*ours.SYNQUP, "--help"], folder=ours.ROOT, documents=1),
            EMPTY: partial(_empty, memory, nothing, idle),
            FIRST: partial(_first, memory, some, server),
        }
        alternate(contenders, 1, lambda _: None)
        results = alternate(contenders, work.rounds(ROUNDS), work.tell)
    return Report(
        scenario="startup",
        title="Starting: whole processes",
        columns=("", "ms", "CPU ms", "x the CPU of python alone", "peak MB"),
        rows=[_row(name, runs, results[BARE]) for name, runs in results.items()],
        charts={"startup": plot.bars("Processor time of a start", "ms", _cpu(results), EMPTY)},
        data={"runs": results, "documents": len(some.items)},
        notes=(
            f"the first file: until it has its final name in its folder, of {len(some.items)}",
            f"python alone: {LIBRARIES[-1]}",
        ),
    )


def _empty(base: Path, dataset: Dataset, server: Server) -> Run:
    with scratch(base) as folder:
        config = ours.configure(folder, dataset, server.url, server.token_url)
        return execute(ours.catch_up(config), folder=ours.ROOT, documents=1)


def _first(base: Path, dataset: Dataset, server: Server) -> Run:
    with scratch(base) as folder:
        config = ours.configure(folder, dataset, server.url, server.token_url)
        return until(partial(has_file, folder / "out"), ours.catch_up(config), ours.ROOT)


def until(is_there: Callable[[], bool], command: Sequence[str], folder: Path) -> Run:
    """What a process took until something is there; it is ended then. BenchmarkError if it isn't.

    Of its processor time and memory, what they were at that moment.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=usual_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while not is_there():
                if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                    raise BenchmarkError(f"{command[0]} brought no file")
                time.sleep(LOOK)
            return Run(1, time.perf_counter() - began, cpu_of(process.pid), memory_of(process.pid))
        finally:
            process.kill()


def has_file(folder: Path) -> bool:
    """Whether a tree of folders has a file; what is hidden is not for users."""
    with os.scandir(folder) as entries:
        shown = [one for one in entries if not one.name.startswith(".")]
    return any(one.is_file() or has_file(Path(one.path)) for one in shown)


def _row(name: str, runs: Sequence[Run], bare: Sequence[Run]) -> tuple[str, ...]:
    return (
        name,
        str(figure(run.seconds * 1e3 for run in runs)),
        str(figure(run.cpu * 1e3 for run in runs)),
        str(ratio([run.cpu for run in runs], [run.cpu for run in bare])),
        f"{figure(run.peak for run in runs).median / 1e6:,.0f}",
    )


def _cpu(results: Mapping[str, Sequence[Run]]) -> dict[str, Figure]:
    return {name: figure(run.cpu * 1e3 for run in runs) for name, runs in results.items()}
