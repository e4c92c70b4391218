"""Scenario 4: far away: each answer takes 50 ms, so what counts is how many are on their way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import delivered, ours, plot
from benchmarks.mailbox import Far, far_away
from benchmarks.measure import Run, alternate, execute, figure, ratio
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
#: A smaller mailbox tells what each further document takes; what is left does not grow with them:
#: the start of the program, the sign-in, the first page, the last acknowledgement, the last walk.
SMALLER = "a third of it"
#: The backlog that the target is set for.
BACKLOG = 10_000


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
            SMALLER: at(documents // 3, _ours),
            ALONE: at(documents, alone),
            RIVAL: at(min(FEW, documents), _rival),
        },
        work.runs,
        work.tell,
    )
    smaller = results.pop(SMALLER)
    found = standings(results, OURS)
    ideal = CONNECTIONS / LATENCY
    share = figure(run.rate / ideal for run in results[OURS])
    each = [
        (run.seconds - less.seconds) / (run.documents - less.documents)
        for run, less in zip(results[OURS], smaller, strict=True)
    ]
    least = [
        run.seconds - run.documents * one for run, one in zip(results[OURS], each, strict=True)
    ]
    seconds = [once + BACKLOG * one for once, one in zip(least, each, strict=True)]
    steady = figure(1 / one / ideal for one in each)
    at_backlog = figure(BACKLOG / one / ideal for one in seconds)
    # One after another shows what an answer really takes.
    real = ratio([1 / one / CONNECTIONS for one in each], [run.rate for run in results[RIVAL]])
    minutes = {
        OURS: figure(one / 60 for one in seconds),
        RIVAL: figure(BACKLOG / run.rate / 60 for run in results[RIVAL]),
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
            "share_at_10000": at_backlog,
            "share_when_under_way": steady,
            "share_of_real_answers": real,
            "seconds_that_count_once": figure(least),
            "minutes_for_10000": minutes,
        },
        notes=(
            f"{share} of connections / latency, which is {ideal:,.0f} documents/s",
            f"{at_backlog} of it for {BACKLOG:,}, where {figure(least)} s count once",
            f"{steady} of it once under way",
            f"{real} of so many connections at what one answer takes, by one after another",
            f"{BACKLOG:,} documents: {minutes[OURS]} minutes",
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
