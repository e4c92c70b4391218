"""Scenario 4: far away: each answer takes 50 ms, so what counts is how many are on their way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import delivered, ours, plot
from benchmarks.mailbox import Far, far_away
from benchmarks.measure import Run, alternate, execute, figure
from benchmarks.peers import HERE, write_list
from benchmarks.report import STANDING_COLUMNS, Report, standing_rows, standings
from benchmarks.workplace import Workplace, run_network, scratch

DOCUMENTS = 3_000
LATENCY = 0.05
CONNECTIONS = 16
#: The rival is run on so many only: the time of one after another is the same for each.
FEW = 100
OURS = "Synqup"
ALONE = f"GET alone, {CONNECTIONS} at once"
RIVAL = "one after another"


def measure(work: Workplace) -> Report:
    """Bring a far mailbox, in turn with fetching alone, and with the rival's way."""
    documents = work.documents or DOCUMENTS
    memory = work.memory()

    def at(count: int, contend: Callable[[Far], Run]) -> Callable[[], Run]:
        def contender() -> Run:
            # A mailbox can be emptied once, so each has one of its own.
            with scratch(memory) as folder, far_away(folder, count, LATENCY) as far:
                return contend(far)

        return contender

    def alone(far: Far) -> Run:
        return run_network("get-sha256", memory, far.items, far.url, far.token)

    results = alternate(
        {
            OURS: at(documents, _ours),
            ALONE: at(documents, alone),
            RIVAL: at(min(FEW, documents), _rival),
        },
        work.runs,
        work.tell,
    )
    found = standings(results, OURS)
    ideal = CONNECTIONS / LATENCY
    share = figure(run.rate / ideal for run in results[OURS])
    minutes = {
        name: figure(10_000 / run.rate / 60 for run in results[name]) for name in (OURS, RIVAL)
    }
    return Report(
        scenario="far",
        title=f"Far away: {documents:,} documents, {LATENCY * 1000:.0f} ms before each answer",
        columns=STANDING_COLUMNS,
        rows=standing_rows(found),
        charts={
            "far": plot.bars(
                "Documents a second", "documents/s", {one.name: one.rate for one in found}, OURS
            )
        },
        data={
            "documents": documents,
            "latency": LATENCY,
            "connections": CONNECTIONS,
            "standings": found,
            "share_of_connections_over_latency": share,
            "minutes_for_10000": minutes,
        },
        notes=(
            f"{share} of connections / latency, which is {ideal:,.0f} documents/s",
            f"10,000 documents at these rates: {minutes[OURS]} minutes",
            f"by the rival's way: {minutes[RIVAL]} minutes, measured on {min(FEW, documents)}",
        ),
    )


def _ours(far: Far) -> Run:
    run = execute(ours.catch_up(far.config), folder=ours.ROOT, documents=len(far.items))
    delivered.check(far.config.parent / "out", far.items)
    ours.check_ledger(far.config, len(far.items))
    return run


def _rival(far: Far) -> Run:
    folder = far.config.parent
    write_list(folder / "list.tsv", far.url, far.items)
    command = [sys.executable, str(Path(HERE, "one_by_one.py")), "list.tsv", "out", far.token]
    run = execute(command, folder=folder, documents=len(far.items))
    delivered.check(folder / "out", far.items)
    return run
