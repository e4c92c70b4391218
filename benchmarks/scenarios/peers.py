"""Scenario 1: beside the peers, into memory-backed storage: the processor decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks import plot
from benchmarks.measure import Figure, Run, alternate
from benchmarks.peers import PEERS, SAME_WORK, Peer
from benchmarks.report import STANDING_COLUMNS, Report, Standing, standing_rows, standings
from benchmarks.server import serve
from benchmarks.workplace import Workplace, run_ours, run_peer

DOCUMENTS = 10_000
OURS = "Synqup"
OURS_DOES = (
    "the sign-in, three walks over the lists, and all that the same-work script does;"
    " besides bounds, retries, recovery, duplicates proven, many formats, a log"
)


def measure(work: Workplace) -> Report:
    """Bring the same documents by each of them, in turn."""
    dataset = work.dataset(work.documents or DOCUMENTS)
    memory = work.memory()
    with serve(dataset.root) as server:
        busy: dict[str, list[float]] = {}

        def watched(name: str, contender: Callable[[], Run]) -> Run:
            before = server.cpu()
            run = contender()
            busy.setdefault(name, []).append((server.cpu() - before) / run.seconds)
            return run

        # The script that does the same work comes first: it says what ours ought to take.
        here = [peer for peer in PEERS if peer.is_here]
        contenders: dict[str, Callable[[], Run]] = {
            SAME_WORK.name: partial(run_peer, SAME_WORK, memory, dataset, server.url),
            OURS: partial(run_ours, memory, dataset, server.url, server.token_url),
        }
        for peer in here:
            contenders[peer.name] = partial(run_peer, peer, memory, dataset, server.url)
        results = alternate(
            {name: partial(watched, name, one) for name, one in contenders.items()},
            work.rounds(),
            work.tell,
        )
    found = standings(results, OURS)
    (same_work,) = (one for one in found if one.name == SAME_WORK.name)
    busiest = max(max(one) for one in busy.values())
    missing = [f"{peer.program} is not installed" for peer in PEERS if not peer.is_here]
    return Report(
        scenario="peers",
        title=f"Peers: {len(dataset.items):,} documents into memory",
        columns=STANDING_COLUMNS,
        rows=standing_rows(found),
        charts={"peers": plot.bars("Documents a second", "documents/s", _rates(found), OURS)},
        data={
            "documents": len(dataset.items),
            "bytes": dataset.bytes,
            "standings": found,
            "server_busy": busy,
            "times_the_cpu_of_the_same_work": same_work.cpu_times,
            "does": {OURS: OURS_DOES} | {peer.name: peer.does for peer in PEERS},
        },
        notes=(
            f"Synqup takes {same_work.cpu_times} times the processor time of the same work",
            f"{OURS}: {OURS_DOES}",
            *(f"{names}: {does}" for does, names in _by_what_they_do(here).items()),
            *dict.fromkeys(missing),
            f"the server was busy for {busiest:.0%} of one core at most",
        ),
    )


def _rates(found: list[Standing]) -> dict[str, Figure]:
    return {one.name: one.rate for one in found}


def _by_what_they_do(peers: Sequence[Peer]) -> dict[str, str]:
    names: dict[str, list[str]] = {}
    for peer in peers:
        names.setdefault(peer.does, []).append(peer.name)
    return {does: "; ".join(given) for does, given in names.items()}
