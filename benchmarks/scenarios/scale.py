"""Scenario 5: as the backlog grows, and when nothing is left to do."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks import ours, plot
from benchmarks.dataset import LISTS, Dataset
from benchmarks.measure import Figure, Run, alternate, execute, figure, ratio
from benchmarks.report import Report
from benchmarks.scenarios import large
from benchmarks.server import Server, serve
from benchmarks.workplace import Workplace, observe, run_ours, scratch

POLLS = 20
#: Unless more are asked for.
ROUNDS = 2
Row = tuple[str, ...]


def measure(work: Workplace) -> Report:
    """Bring backlogs of several sizes; restart with a large ledger; poll where nothing is new."""
    growth, growth_rows, charts = _growth(work)
    nothing = work.dataset(0)
    with serve(nothing.root) as server:
        restart, restart_row = _restart(work, nothing, server)
        idle, idle_row = _idle(work, nothing, server)
    found = large.measure_large(work, work.large) if work.large else None
    return Report(
        scenario="scale",
        title="Scale: time and memory as the backlog grows",
        columns=("", "each", "x the reference", "peak MB", "x the reference"),
        rows=[*growth_rows, restart_row, idle_row, *(large.rows(found) if found else ())],
        charts=charts | (large.charts(found) if found else {}),
        data={"growth": growth, "restart": restart, "idle_poll": idle, "large": found},
        notes=(
            "a backlog: µs for each document, less what an empty one takes",
            "the reference: 10,000 documents if they are there, else the fewest; an empty ledger",
            *(large.notes(found) if found else ()),
        ),
    )


def _growth(work: Workplace) -> tuple[dict[str, Any], list[Row], dict[str, str]]:
    sizes = tuple(sorted({work.documents or 0, *work.sizes} - {0}))
    results: dict[int, list[Run]] = {size: [] for size in (0, *sizes)}
    for round_ in range(1, work.rounds(ROUNDS) + 1):
        for size, runs in results.items():
            dataset = work.dataset(size)
            with serve(dataset.root) as server:
                runs.append(run_ours(work.memory(), dataset, server.url, server.token_url))
            work.tell(f"round {round_}: {size:,} documents took {runs[-1].seconds:.2f} s")
    reference = 10_000 if 10_000 in sizes else sizes[0]
    each = {
        size: [
            (run.seconds - empty.seconds) / size * 1e6
            for run, empty in zip(results[size], results[0], strict=True)
        ]
        for size in sizes
    }
    peaks = {size: [float(run.peak) for run in results[size]] for size in sizes}
    rows: list[Row] = [
        (
            f"{size:,} documents",
            f"{figure(each[size])} µs",
            str(ratio(each[size], each[reference])),
            f"{figure(peaks[size]).median / 1e6:,.0f}",
            str(ratio(peaks[size], peaks[reference])),
        )
        for size in sizes
    ]
    charts = {
        "scale-time": plot.bars("Time for each document", "µs/document", _named(each)),
        "scale-memory": plot.bars("Peak memory", "bytes", _named(peaks)),
    }
    return {"runs": results, "reference": reference, "microseconds": each}, rows, charts


def _named(values: dict[int, list[float]]) -> dict[str, Figure]:
    return {f"{size:,} documents": figure(one) for size, one in values.items()}


def _restart(work: Workplace, nothing: Dataset, server: Server) -> tuple[dict[str, Any], Row]:
    with scratch(work.disk) as small, scratch(work.disk) as large:
        configs = [
            ours.configure(folder, nothing, server.url, server.token_url)
            for folder in (small, large)
        ]
        ours.fill_ledger(configs[0], 0)
        ours.fill_ledger(configs[1], work.ledger_rows)
        names = ["an empty ledger", f"{work.ledger_rows:,} rows"]
        results = alternate(
            {
                name: partial(execute, ours.catch_up(config), folder=ours.ROOT, documents=1)
                for name, config in zip(names, configs, strict=True)
            },
            work.rounds(ROUNDS),
            work.tell,
        )
    empty, full = (results[name] for name in names)
    row = (
        f"restart, {names[1]} in the ledger",
        f"{figure(run.seconds for run in full)} s",
        str(ratio([run.seconds for run in full], [run.seconds for run in empty])),
        f"{figure(run.peak for run in full).median / 1e6:,.0f}",
        str(ratio([run.peak for run in full], [run.peak for run in empty])),
    )
    return {"runs": results}, row


def _idle(work: Workplace, nothing: Dataset, server: Server) -> tuple[dict[str, Any], Row]:
    polls: list[float] = []
    requests: list[float] = []
    for _ in range(work.rounds(ROUNDS)):
        counts = []
        for times in (0, POLLS):
            before = server.requests()
            found = observe(
                *(work.memory(), nothing, server.url, server.token_url, "--polls", str(times))
            )
            counts.append(server.requests() - before)
            polls += [poll.cpu for poll in found.polls]
        requests.append((counts[1] - counts[0]) / POLLS)
    lists = len(nothing.mailbox.companies) * len(LISTS)
    of_lists = figure(count / lists for count in requests)
    row = (
        f"a poll of {lists} lists, nothing new",
        f"{figure(seconds * 1e3 for seconds in polls)} ms CPU",
        f"{of_lists} requests for each list",
        "",
        "",
    )
    return {"cpu": figure(polls), "requests": figure(requests), "lists": lists}, row
