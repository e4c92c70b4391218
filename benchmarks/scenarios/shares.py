"""Scenario 7: where the time goes: microseconds of processor for each document, by what ran."""

from __future__ import annotations

from benchmarks import plot
from benchmarks.inside import Findings
from benchmarks.measure import Figure, figure
from benchmarks.report import Report
from benchmarks.server import serve
from benchmarks.workplace import Workplace, observe

DOCUMENTS = 2_000
BETWEEN = "between: queues, engine, sockets, loop"
THREADS = "threads: files and ledger"


def measure(work: Workplace) -> Report:
    """Bring everything with a clock around the work of each stage."""
    dataset = work.dataset(work.documents or DOCUMENTS)
    found = []
    with serve(dataset.root) as server:
        for round_ in range(1, work.rounds() + 1):
            found.append(observe(work.memory(), dataset, server.url, server.token_url))
            work.tell(f"round {round_} of {work.rounds()}: {found[-1].seconds:.2f} s")
    each = [_microseconds(one) for one in found]
    times = {name: figure(one.get(name, 0.0) for one in each) for name in each[0]}
    whole = [sum(one.values()) for one in each]
    return Report(
        scenario="shares",
        title=f"Where the time goes: {len(dataset.items):,} documents, in memory",
        columns=("", "CPU µs/document", "share of all"),
        rows=[
            *((name, str(time), _share(name, each, whole)) for name, time in times.items()),
            ("all", str(figure(whole)), "100%"),
        ],
        charts={"shares": plot.bars("Processor time by what ran", "µs/document", times)},
        data={"documents": len(dataset.items), "microseconds": times, "all": figure(whole)},
        notes=("in one process, its clocks included; without the start of Python",),
    )


def _microseconds(found: Findings) -> dict[str, float]:
    shares = found.shares
    seconds = {
        **shares.on_loop,
        BETWEEN: shares.loop - sum(shares.on_loop.values()),
        THREADS: shares.process - shares.loop,
    }
    return {name: value / found.delivered * 1e6 for name, value in seconds.items()}


def _share(name: str, each: list[dict[str, float]], whole: list[float]) -> str:
    share: Figure = figure(
        one.get(name, 0.0) / total for one, total in zip(each, whole, strict=True)
    )
    return f"{share.median:.0%}"
