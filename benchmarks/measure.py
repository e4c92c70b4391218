"""Runs whole processes in turn and says what they took: time, processor, memory, spread."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from msgspec import Struct

from benchmarks.failure import BenchmarkError

#: Seconds between two looks at the memory of a process.
LOOK = 0.02
#: Says that Python is to keep nothing of what it compiles.
KEEPS_NOTHING = "PYTHONDONTWRITEBYTECODE"
#: Characters of a failed process's last words that are told.
LAST_WORDS = 2_000


class Run(Struct, frozen=True):
    """One process from its start to its end.

    documents: how many it dealt with. seconds: by the clock. cpu: of processor time, its
    children's too. peak: bytes of memory that it, or the largest of its children, held at most.
    """

    documents: int
    seconds: float
    cpu: float
    peak: int

    @property
    def rate(self) -> float:
        """Documents a second."""
        return self.documents / self.seconds

    @property
    def cpu_each(self) -> float:
        """Microseconds of processor time for each document."""
        return self.cpu / self.documents * 1e6


class Figure(Struct, frozen=True):
    """The median of several values, and their spread."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}-{_short(self.high)})"


def figure(values: Iterable[float]) -> Figure:
    """The median, the least and the greatest."""
    ordered = sorted(values)
    return Figure(statistics.median(ordered), ordered[0], ordered[-1])


def ratio(over: Sequence[float], under: Sequence[float]) -> Figure:
    """How many times one is the other, round by round: what they share cancels out."""
    return figure(a / b for a, b in zip(over, under, strict=True))


def alternate(
    contenders: Mapping[str, Callable[[], Run]], runs: int, tell: Callable[[str], None]
) -> dict[str, list[Run]]:
    """Run all of them once, then all of them again: A B C A B C, so that none has a better hour."""
    results: dict[str, list[Run]] = {name: [] for name in contenders}
    for round_ in range(1, runs + 1):
        for name, contender in contenders.items():
            run = contender()
            results[name].append(run)
            tell(f"round {round_} of {runs}: {name} took {run.seconds:.2f} s")
    return results


def execute(command: Sequence[str], *, folder: Path, documents: int) -> Run:
    """Run a process in a folder. BenchmarkError with its last words when it fails."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=usual_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        with _Watch(process.pid) as watch:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            said = output.read().decode(errors="replace")[-LAST_WORDS:]
            raise BenchmarkError(f"{command[0]} ended with {process.returncode}: {said}")
    return Run(documents, seconds, usage.ru_utime + usage.ru_stime, watch.peak)


def descendants(pid: int) -> list[int]:
    """The processes below one, those that are there now."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [one for child in children for one in (int(child), *descendants(int(child)))]


def cpu_of(pid: int) -> float:
    """Seconds of processor time of a running process so far, in all of its threads."""
    # The clock of a process by its number, as clock_getcpuclockid(3) makes it on Linux.
    return time.clock_gettime(~pid << 3 | 2)


def memory_of(pid: int) -> int:
    """Bytes of memory that a running process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def usual_environment() -> dict[str, str]:
    """The environment, but that Python keeps what it has compiled, as it does for its users."""
    return {name: value for name, value in os.environ.items() if name != KEEPS_NOTHING}


class _Watch:
    """Looks at the memory of a process while it runs.

    What wait4 tells will not do: a child begins with its parent's peak, until it has its own.
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            for pid in (self._pid, *descendants(self._pid)):
                self.peak = max(self.peak, _peak(pid))


def _peak(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
