"""Scenario 13: several nodes: what 1, 2 and 3 of them bring, a takeover, many idle companies.

All of it runs on one machine: nodes, PostgreSQL and the server share its processors, so that near
nothing can be gained by a second node. Far away (50 ms) most of the time is latency.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import delivered, ours, plot
from benchmarks.dataset import Dataset, render
from benchmarks.failure import BenchmarkError
from benchmarks.measure import Figure, Run, alternate, figure
from benchmarks.nodes import Node, cluster, wait
from benchmarks.postgres import OwnServer, ask, postgres
from benchmarks.report import Report
from benchmarks.server import Server, serve
from benchmarks.workplace import Workplace, scratch

DOCUMENTS, COMPANIES, ROUNDS = 3_000, 300, 1
LATENCY = 0.05
#: Companies of which nothing is new, and seconds between two polls of them.
MANY, INTERVAL = 10_000, 300.0
ALONE = "one process, SQLite"
#: Documents that were delivered and acknowledged, the first listing, and the last acknowledgement.
TOLD = (
    "SELECT count(*), min(seen_at), max(acknowledged_at) FROM documents"
    " WHERE state = 'delivered' AND acknowledged_at IS NOT NULL"
)

Tell = Callable[[], tuple[int, float, float]]


def measure(work: Workplace) -> Report:
    """Bring the same documents by one process and by nodes, near and far."""
    documents = work.documents or DOCUMENTS
    dataset = render(work.cache, documents, COMPANIES, work.seed)
    idle = render(work.cache, 0, MANY, work.seed)
    memory = work.memory()
    with (
        postgres() as database,
        serve(dataset.root) as near,
        serve(dataset.root, LATENCY) as far,
        serve(idle.root) as quiet,
    ):
        contenders: dict[str, Callable[[], Run]] = {}
        for where, server in (("near", near), ("50 ms", far)):
            contenders[f"{ALONE}, {where}"] = partial(_alone, memory, dataset, server)
            for nodes in (1, 2, 3):
                name = f"{nodes} node{'s' if nodes > 1 else ''}, {where}"
                contenders[name] = partial(_together, memory, dataset, server, database, nodes)
        results = alternate(contenders, work.rounds(ROUNDS), work.tell)
        takeovers = []
        for _ in range(work.rounds(ROUNDS)):
            takeovers.append(_takeover(memory, dataset, far, database))
            work.tell(f"a killed node's companies were polled again after {takeovers[-1]:.1f} s")
        polling = _polling(memory, idle, quiet, database)
    return Report(
        scenario="cluster",
        title=f"Nodes on one machine: {documents:,} documents of {COMPANIES} companies",
        columns=("", "documents/s", "x one node", "CPU µs/document, all nodes", "MB, all nodes"),
        rows=[_row(name, runs, results) for name, runs in results.items()],
        charts={"cluster": plot.bars("Documents a second", "", _rates(results), "3 nodes, 50 ms")},
        data={
            "runs": results,
            "seconds_of_takeovers": takeovers,
            "polling": polling,
            "companies": COMPANIES,
        },
        notes=_notes(takeovers, polling),
    )


def _notes(takeovers: Sequence[float], polling: dict[str, float]) -> tuple[str, ...]:
    waits = f"in {len(takeovers)} kills {min(takeovers):.1f} to {max(takeovers):.1f}"
    node, server = polling["node"], polling["postgres"]
    round_ = f"{MANY:,} companies without news: one round of polls by one node takes"
    round_ += f" {polling['seconds']:.0f} s, {node:.0f} s of its processor and {server:.0f} s of"
    return (
        "documents/s: from the first listing to the last acknowledgement",
        f"{waits} s until another polls what a killed node had; for 15 s it counts as alive",
        f"{round_} PostgreSQL's: {(node + server) / INTERVAL:.0%} of one, every {INTERVAL:.0f} s",
    )


def _alone(base: Path, dataset: Dataset, server: Server) -> Run:
    with scratch(base) as folder:
        config = ours.configure(folder, dataset, server.url, server.token_url)

        def told() -> tuple[int, float, float]:
            path = folder / "state" / "ledger.sqlite"
            try:
                with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                    return _told(connection.execute(TOLD).fetchall())
            except sqlite3.Error:
                return 0, 0.0, 0.0

        with Node(config) as node:
            run = _bring([node], dataset, told)
        delivered.check(folder / "out", dataset.items)
    return run


def _together(base: Path, dataset: Dataset, server: Server, database: OwnServer, nodes: int) -> Run:
    with (
        scratch(base) as folder,
        database.database() as dsn,
        cluster(folder, dataset, server, dsn, nodes) as started,
    ):
        run = _bring(started, dataset, partial(_told_by, dsn))
        delivered.check(folder / "out", dataset.items)
    return run


def _bring(nodes: Sequence[Node], dataset: Dataset, told: Tell) -> Run:
    """Wait until everything is told. The processor time is from the first document on."""
    wait(nodes, lambda: told()[0] > 0)
    began = sum(one.cpu for one in nodes)
    few = told()[0]
    wait(nodes, lambda: told()[0] >= len(dataset.items))
    count, first, last = told()
    cpu = sum(one.cpu for one in nodes) - began
    # What came before the first look has cost as much each.
    return Run(count, last - first, cpu * count / (count - few), sum(one.memory for one in nodes))


def _takeover(base: Path, dataset: Dataset, server: Server, database: OwnServer) -> float:
    """Seconds from the kill of one of two nodes until another one polls a part that it had."""
    with (
        scratch(base) as folder,
        database.database() as dsn,
        cluster(folder, dataset, server, dsn, 2) as (first, second),
    ):
        held = (
            "SELECT slice FROM cluster_units WHERE node = 'n1' AND (ended IS NULL OR ended < began)"
        )
        wait([first, second], lambda: _told_by(dsn)[0] > len(dataset.items) // 10)
        wait([first, second], lambda: bool(ask(dsn, held)))
        parts = ", ".join(f"'{row[0]}'" for row in ask(dsn, held))
        killed = time.time()
        first.kill()
        again = (
            "SELECT extract(epoch FROM min(began))::float8 FROM cluster_units"
            f" WHERE node = 'n2' AND slice IN ({parts}) AND began > to_timestamp({killed})"
        )
        wait([second], lambda: ask(dsn, again)[0][0] is not None)
        took = float(ask(dsn, again)[0][0]) - killed
        wait([second], lambda: _told_by(dsn)[0] >= len(dataset.items))
        delivered.check(folder / "out", dataset.items)
    return took


def _polling(base: Path, idle: Dataset, server: Server, database: OwnServer) -> dict[str, float]:
    """What one round of polls takes that finds nothing: seconds, and those of processors."""
    with (
        scratch(base) as folder,
        database.database() as dsn,
        cluster(folder, idle, server, dsn, 1) as nodes,
    ):
        # The first round ends the start; what is measured is a second one, asked for at once.
        wait(nodes, lambda: _is_polled(dsn, 0.0))
        began, node, server_cpu = time.time(), nodes[0].cpu, _cpu_below(database.pid)
        ask(dsn, "UPDATE cluster_units SET due = now()")
        wait(nodes, lambda: _is_polled(dsn, began))
        return {
            "seconds": time.time() - began,
            "node": nodes[0].cpu - node,
            "postgres": _cpu_below(database.pid) - server_cpu,
        }


def _is_polled(dsn: str, since: float) -> bool:
    polled = f"completed > to_timestamp({since})"
    rows = _asked(dsn, f"SELECT count(*), count(*) FILTER (WHERE {polled}) FROM cluster_units")
    return bool(rows) and bool(rows[0][0]) and rows[0][0] == rows[0][1]


def _cpu_below(pid: int) -> float:
    """Seconds of processor time of a server's processes, those that have ended included."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        is_first = path.parent.name == str(pid)
        if is_first or int(fields[1]) == pid:
            total += sum(map(int, fields[11:15] if is_first else fields[11:13])) / 100
    return total


def _told_by(dsn: str) -> tuple[int, float, float]:
    rows = _asked(dsn, TOLD)
    return _told(rows) if rows else (0, 0.0, 0.0)


def _asked(dsn: str, sql: str) -> list[Any]:
    """What the database answers; nothing as long as no node has made the tables."""
    try:
        return ask(dsn, sql)
    except Exception as error:
        if type(error).__name__ == "UndefinedTable":
            return []
        raise BenchmarkError(str(error)) from error


def _told(rows: list[Any]) -> tuple[int, float, float]:
    ((count, first, last),) = rows
    return int(count), float(first or 0), float(last or 0)


def _row(name: str, runs: Sequence[Run], results: dict[str, list[Run]]) -> tuple[str, ...]:
    where = name.rpartition(", ")[2]
    one = figure(run.rate for run in results[f"1 node, {where}"]).median
    rates = figure(run.rate for run in runs)
    return (
        name,
        str(rates),
        f"{rates.median / one:.2f}",
        str(figure(run.cpu_each for run in runs)),
        f"{figure(run.peak for run in runs).median / 1e6:,.0f}",
    )


def _rates(results: dict[str, list[Run]]) -> dict[str, Figure]:
    return {name: figure(run.rate for run in runs) for name, runs in results.items()}
