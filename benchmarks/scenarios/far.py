"""Scenario 4: far away: each answer takes 50 ms, so what counts is how many are on their way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct, structs

from benchmarks import plot
from benchmarks.dataset import Dataset
from benchmarks.measure import Figure, Run, alternate, figure
from benchmarks.peers import ONE_BY_ONE, Peer, aria2c, rclone, same_work
from benchmarks.report import Report
from benchmarks.server import Server, serve
from benchmarks.workplace import Workplace, run_network, run_ours, run_peer

DOCUMENTS = 2_000
#: Once unless more is asked for: the slowest contender takes 20 s.
ROUNDS = 1
LATENCY = 0.05
#: Synqup's, the same work's, and those of the programs that only fetch.
CONNECTIONS = (16, 48, 128, 256)
TRANSFERS = (16, 64, 128)
#: One after another is run on so many only: it takes the same time for each.
FEW = 100
#: The share of what the latency and the processor allow that is to be reached.
TARGET = 0.9
NEAR = "Synqup, near"
OURS, THE_SAME_WORK = "Synqup", "same work"
BOUND = "connections / (latency x requests for each document); of Synqup, no more than it does near"
COLUMNS = (
    *("", "documents/s", "the bound", "share of it", "target"),
    *("CPU µs/document", "peak MB", "server busy"),
)


class Contender(Struct, frozen=True):
    """Who brings documents with how many connections, in so many requests for each."""

    name: str
    family: str
    connections: int
    requests: int
    run: Callable[[], Run]

    @property
    def allowed(self) -> float:
        """Documents a second that the latency allows."""
        return self.connections / (self.requests * LATENCY)


class Outcome(Struct, frozen=True):
    """How a contender did. bound: documents a second; share: of the bound, round by round."""

    name: str
    rate: Figure
    bound: Figure
    share: Figure
    cpu: Figure
    peak: Figure
    busy: Figure
    is_met: bool | None
    runs: list[Run]


def measure(work: Workplace) -> Report:
    """Bring a far mailbox by all of them with few connections and with many; and a near one."""
    dataset = work.dataset(work.documents or DOCUMENTS)
    busy: dict[str, list[float]] = {}
    with serve(dataset.root) as near, serve(dataset.root, LATENCY) as far:
        contenders = _contenders(work, dataset, far)
        runs: dict[str, Callable[[], Run]] = {
            NEAR: partial(run_ours, work.memory(), dataset, near.url, near.token_url)
        }
        for one in contenders:
            runs[one.name] = partial(_watched, far, one, busy)
        results = alternate(runs, work.rounds(ROUNDS), work.tell)
    nearby = [run.rate for run in results[NEAR]]
    found = [outcome(one, results[one.name], nearby, busy[one.name]) for one in contenders]
    busiest = max(one.busy.high for one in found)
    return Report(
        scenario="far",
        title=f"Far away: {len(dataset.items):,} documents, {LATENCY * 1000:.0f} ms an answer",
        columns=COLUMNS,
        rows=[_near_row(results[NEAR]), *map(_row, found)],
        charts={"far": _chart(contenders, results)},
        data={
            "documents": len(dataset.items),
            "latency": LATENCY,
            "near": results[NEAR],
            "outcomes": found,
        },
        notes=(
            f"the bound: {BOUND}",
            f"the target: {TARGET} of the bound",
            "each document takes Synqup and the same work two requests, the others one",
            "nginx forgets nothing, so Synqup walks the lists three times; it alone walks them",
            f"the server was busy for {busiest:.0%} of one core at most",
        ),
    )


def _contenders(work: Workplace, dataset: Dataset, far: Server) -> list[Contender]:
    memory = work.memory()

    def peer(one: Peer, family: str, connections: int, requests: int = 1) -> Contender:
        run = partial(run_peer, one, memory, dataset, far.url)
        return Contender(one.name, family, connections, requests, run)

    def ours(count: int) -> Contender:
        run = partial(run_ours, memory, dataset, far.url, far.token_url, count)
        return Contender(f"{OURS}, {count} connections", OURS, count, 2, run)

    few = structs.replace(dataset, items=dataset.items[:FEW])
    most = CONNECTIONS[-1]
    alone = partial(run_network, "get", memory, dataset.items, far.url, most)
    return [
        *(ours(count) for count in CONNECTIONS),
        *(peer(same_work(count), THE_SAME_WORK, count, 2) for count in CONNECTIONS),
        *(peer(one, "rclone", n) for n in TRANSFERS if (one := rclone(n)).is_here),
        *(peer(one, "aria2c", n) for n in TRANSFERS if (one := aria2c(n)).is_here),
        Contender(
            *(ONE_BY_ONE.name, ONE_BY_ONE.name, 1, 1),
            partial(run_peer, ONE_BY_ONE, memory, few, far.url),
        ),
        Contender(f"GET alone, {most} connections", "GET alone", most, 1, alone),
    ]


def _watched(server: Server, one: Contender, busy: dict[str, list[float]]) -> Run:
    before = server.cpu()
    run = one.run()
    busy.setdefault(one.name, []).append((server.cpu() - before) / run.seconds)
    return run


def outcome(
    one: Contender, runs: Sequence[Run], near: Sequence[float], busy: Sequence[float]
) -> Outcome:
    """What a contender reached of its bound, round by round; ours has to reach its target.

    near: documents a second of Synqup near, in the same rounds.
    """
    is_ours = one.family == OURS
    bounds = [min(one.allowed, limit) if is_ours else one.allowed for limit in near]
    share = figure(run.rate / bound for run, bound in zip(runs, bounds, strict=True))
    return Outcome(
        name=one.name,
        rate=figure(run.rate for run in runs),
        bound=figure(bounds),
        share=share,
        cpu=figure(run.cpu_each for run in runs),
        peak=figure(run.peak for run in runs),
        busy=figure(busy),
        is_met=share.median >= TARGET if is_ours else None,
        runs=list(runs),
    )


def _row(found: Outcome) -> tuple[str, ...]:
    target = {None: "", True: f"{TARGET}, met", False: f"{TARGET}, missed"}[found.is_met]
    return (
        found.name,
        str(found.rate),
        f"{found.bound.median:,.0f}",
        str(found.share),
        target,
        f"{found.cpu.median:,.0f}",
        f"{found.peak.median / 1e6:,.0f}",
        f"{found.busy.median:.0%}",
    )


def _near_row(runs: Sequence[Run]) -> tuple[str, ...]:
    cpu, peak = figure(run.cpu_each for run in runs), figure(run.peak for run in runs)
    rate = str(figure(run.rate for run in runs))
    return (NEAR, rate, "", "", "", f"{cpu.median:,.0f}", f"{peak.median / 1e6:,.0f}", "")


def _chart(contenders: Sequence[Contender], results: Mapping[str, Sequence[Run]]) -> str:
    points: dict[str, list[tuple[float, float]]] = {}
    for one in contenders:
        rate = figure(run.rate for run in results[one.name]).median
        points.setdefault(one.family, []).append((one.connections, rate))
    several = {family: line for family, line in points.items() if len(line) > 1}
    return plot.lines("Documents a second, far away", "connections", "documents/s", several)
