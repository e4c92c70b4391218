"""Scenario 6: each stage slowed in turn: the queues before it fill to their bounds, no further."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import plot
from benchmarks.failure import BenchmarkError
from benchmarks.inside import LIST, Findings, Sample
from benchmarks.measure import figure, ratio
from benchmarks.report import Report
from benchmarks.server import serve
from benchmarks.workplace import Workplace, observe
from stages.flow import STAGE_NAMES

DOCUMENTS = 1_000
#: Once unless more is asked for: seven runs, most of them slowed, make a round.
ROUNDS = 1
#: Documents a second that the slow stage lets through.
RATE = 300
NONE = "none"


def measure(work: Workplace) -> Report:
    """Watch the queues and the memory while one stage is slow, in turn with none being so."""
    dataset = work.dataset(work.documents or DOCUMENTS)
    found: dict[str, list[Findings]] = {name: [] for name in (NONE, LIST, *STAGE_NAMES)}
    with serve(dataset.root) as server:
        for round_ in range(1, work.rounds(ROUNDS) + 1):
            for slow, findings in found.items():
                options = () if slow == NONE else ("--slow", slow, "--rate", str(RATE))
                findings.append(
                    observe(work.memory(), dataset, server.url, server.token_url, *options)
                )
                _check_bounds(findings[-1])
            work.tell(f"round {round_} of {work.rounds(ROUNDS)}")
    last = {slow: findings[-1] for slow, findings in found.items()}
    memory = {slow: [_memory(one) for one in findings] for slow, findings in found.items()}
    return Report(
        scenario="backpressure",
        title=f"Backpressure: {len(dataset.items):,} documents, one stage slowed to {RATE}/s",
        columns=("slow stage", "documents/s", "most in flight", "MB in flight", "memory x none's"),
        rows=[
            (
                slow,
                str(figure(one.delivered / one.seconds for one in findings)),
                str(figure(max(_documents(s) for s in one.samples) for one in findings)),
                str(figure(max(_bytes(s) for s in one.samples) / 1e6 for one in findings)),
                str(ratio(memory[slow], memory[NONE])),
            )
            for slow, findings in found.items()
        ],
        charts={
            f"backpressure-{slow}": _chart(slow, findings)
            for slow, findings in last.items()
            if slow != NONE
        }
        | {"backpressure-bytes": _bytes_chart(last), "backpressure-memory": _memory_chart(last)},
        data={
            "documents": len(dataset.items),
            "rate": RATE,
            "bounds": last[NONE].bounds,
            "memory": memory,
            "samples": {slow: one.samples for slow, one in last.items()},
        },
        notes=("no queue went beyond its bound, or this would have been an error",),
    )


def _check_bounds(findings: Findings) -> None:
    """A single large document may pass alone; else no stage holds more than its bound."""
    for sample in findings.samples:
        for name, (documents, size) in findings.bounds.items():
            over = sample.bytes[name] > size and sample.documents[name] > 1
            if sample.documents[name] > documents or over:
                raise BenchmarkError(f"the queue of {name} went beyond its bound: {sample}")


def _documents(sample: Sample) -> int:
    return sum(sample.documents.values())


def _bytes(sample: Sample) -> int:
    return sum(sample.bytes.values())


def _memory(findings: Findings) -> int:
    return max(sample.memory for sample in findings.samples)


def _chart(slow: str, findings: Findings) -> str:
    return plot.lines(
        f"Documents in each stage and before it, {slow} slowed to {RATE}/s",
        "seconds",
        "documents",
        {
            name: [(sample.at, sample.documents[name]) for sample in findings.samples]
            for name in findings.bounds
        },
    )


def _bytes_chart(last: Mapping[str, Findings]) -> str:
    return plot.lines(
        "Bytes in flight, by the slow stage",
        "seconds",
        "MB",
        {
            slow: [(sample.at, _bytes(sample) / 1e6) for sample in one.samples]
            for slow, one in last.items()
        },
    )


def _memory_chart(last: Mapping[str, Findings]) -> str:
    return plot.lines(
        "Memory of the process, by the slow stage",
        "seconds",
        "MB",
        {
            slow: [(sample.at, sample.memory / 1e6) for sample in one.samples]
            for slow, one in last.items()
        },
    )
