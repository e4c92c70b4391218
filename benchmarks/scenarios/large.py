"""A large backlog, watched while it is brought: part of scenario 5, where it is asked for."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks import ours, plot
from benchmarks.failure import BenchmarkError
from benchmarks.importer import Importer
from benchmarks.mailbox import sandbox
from benchmarks.measure import (
    Run,
    cpu_of,
    execute,
    figure,
    memory_of,
    usual_environment,
)
from benchmarks.workplace import Workplace, observe_configured, scratch

FROM = "from the sandbox, which takes a core of its own; an importer takes them away"
#: The parts that are compared with the first of them.
PARTS = 10
#: Seconds between two looks.
LOOK = 0.25
POLLS = 20
#: Bytes of a failed process's last words that are told.
LAST_WORDS = 2_000


class Sample(Struct, frozen=True):
    """One moment: seconds since the start, documents by then, processor time, memory, ledger.

    cpu: seconds. memory, ledger: bytes; the ledger with what is not yet in its file.
    """

    at: float
    documents: int
    cpu: float
    memory: int
    ledger: int


class Part(Struct, frozen=True):
    """A part of the backlog. each, cpu: microseconds a document; memory: the most, in bytes.

    ledger: bytes a document of all up to here.
    """

    documents: int
    each: float
    cpu: float
    memory: int
    ledger: float


class Large(Struct, frozen=True):
    """What came of it: the parts, all samples, the restart with all in the ledger, and polls."""

    documents: int
    bytes: int
    parts: list[Part]
    samples: list[Sample]
    ledger: float
    restart: Run
    polls: list[float]


def measure_large(work: Workplace, documents: int) -> Large:
    """Bring so many documents from a sandbox while an importer takes them away."""
    base = work.folder or work.memory()
    with (
        scratch(base) as folder,
        sandbox(folder, documents, work.companies, work.seed) as config,
    ):
        importer = Importer(folder / "out")
        samples = _watch(work, config, importer, documents)
        ledger = folder / "state" / "ledger.sqlite"
        ours.check_ledger(config, documents)
        importer.check(ledger, documents)
        size = ledger.stat().st_size / documents
        restart = execute(ours.catch_up(config), folder=ours.ROOT, documents=1)
        found = observe_configured(config, "--polls", str(POLLS))
        polls = [poll.cpu for poll in found.polls]
        parts = parts_of(samples, documents)
        return Large(documents, importer.bytes, parts, samples, size, restart, polls)


def _watch(work: Workplace, config: Path, importer: Importer, documents: int) -> list[Sample]:
    """Run the catch-up to its end, and look at it now and then."""
    ledger = config.parent / "state" / "ledger.sqlite"
    wal = ledger.with_name(f"{ledger.name}-wal")
    samples: list[Sample] = []
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        with subprocess.Popen(
            ours.catch_up(config),
            cwd=ours.ROOT,
            env=usual_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process:
            try:
                while process.poll() is None:
                    importer.take()
                    sample = Sample(
                        time.perf_counter() - began,
                        importer.taken,
                        cpu_of(process.pid),
                        memory_of(process.pid),
                        sum(one.stat().st_size for one in (ledger, wal) if one.exists()),
                    )
                    samples.append(sample)
                    _tell(work, samples, documents)
                    time.sleep(LOOK)
            finally:
                process.kill()
        importer.take()
        if process.returncode != 0:
            output.seek(0)
            said = output.read().decode(errors="replace")[-LAST_WORDS:]
            raise BenchmarkError(f"the catch-up ended with {process.returncode}: {said}")
    if not samples:
        raise BenchmarkError("the catch-up ended before it was looked at")
    return [*samples, _last(samples[-1], time.perf_counter() - began, importer.taken)]


def _last(sample: Sample, at: float, documents: int) -> Sample:
    return Sample(at, documents, sample.cpu, sample.memory, sample.ledger)


def _tell(work: Workplace, samples: Sequence[Sample], documents: int) -> None:
    before = samples[-2].documents if len(samples) > 1 else 0
    now = samples[-1]
    if before * PARTS // documents < now.documents * PARTS // documents:
        work.tell(f"{now.documents:,} documents, {now.at:,.0f} s, {now.memory / 1e6:,.0f} MB")


def parts_of(samples: Sequence[Sample], documents: int) -> list[Part]:
    """What each tenth of the documents took, between the samples that are nearest after it."""
    found: list[Part] = []
    begun = Sample(0.0, 0, 0.0, 0, 0)
    for number in range(1, PARTS + 1):
        goal = documents * number // PARTS
        ended = next(one for one in samples if one.documents >= goal)
        if (brought := ended.documents - begun.documents) == 0:
            continue
        within = [one.memory for one in samples if begun.at < one.at <= ended.at]
        found.append(
            Part(
                documents=ended.documents,
                each=(ended.at - begun.at) / brought * 1e6,
                cpu=(ended.cpu - begun.cpu) / brought * 1e6,
                memory=max(within),
                ledger=ended.ledger / ended.documents,
            )
        )
        begun = ended
    return found


def rows(found: Large) -> list[tuple[str, ...]]:
    """The rows of scenario 5."""
    first = found.parts[0]
    return [
        *(
            (
                f"of {found.documents:,}: up to {part.documents:,}",
                f"{part.each:,.0f} µs, {part.cpu:,.0f} of CPU",
                f"{part.cpu / first.cpu:.3g}, of CPU" if first.cpu else "",
                f"{part.memory / 1e6:,.0f}",
                f"{part.memory / first.memory:.3g}",
            )
            for part in found.parts
        ),
        (
            f"restart after {found.documents:,}",
            f"{found.restart.seconds:.2f} s",
            "",
            f"{found.restart.peak / 1e6:,.0f}",
            f"{found.restart.peak / first.memory:.3g}",
        ),
        (
            f"a poll after {found.documents:,}, nothing new",
            f"{figure(seconds * 1e3 for seconds in found.polls)} ms CPU",
            *("", "", ""),
        ),
    ]


def notes(found: Large) -> tuple[str, ...]:
    """What the table has no column for."""
    return (
        f"the large backlog: {found.bytes / 1e9:,.2f} GB {FROM}",
        f"the ledger: {found.ledger:,.0f} bytes a document",
    )


def charts(found: Large) -> dict[str, str]:
    """Over the documents: what each took, and the memory."""
    each = [(float(part.documents), part.each) for part in found.parts]
    cpu = [(float(part.documents), part.cpu) for part in found.parts]
    memory = [(float(one.documents), one.memory / 1e6) for one in found.samples]
    of = f"of {found.documents:,} documents"
    return {
        "scale-large-time": plot.lines(
            f"Time for each {of}", "documents", "µs", {"by the clock": each, "of CPU": cpu}
        ),
        "scale-large-memory": plot.lines(f"Memory {of}", "documents", "MB", {"memory": memory}),
    }
