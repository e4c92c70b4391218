"""Scenario 9: servers that slow down or refuse: how near it comes by itself to what they take."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import msgspec
from msgspec import Struct, structs

from benchmarks import ours, plot
from benchmarks.dataset import Dataset
from benchmarks.failure import BenchmarkError
from benchmarks.measure import Figure, Run, figure, ratio
from benchmarks.mood import MOODS, Behaviour, Mood
from benchmarks.report import Report
from benchmarks.workplace import Workplace, run_network, run_ours

#: Once unless more is asked for: each server is measured with several clients.
ROUNDS = 1
#: What Synqup may use at most, so that nothing but the server's answers holds it back.
CONNECTIONS = 256
FIXED = (
    "a client that starts with so many at once and keeps to them; it gets and acknowledges alone,"
    " half of the documents, and asks again half a second after a 429"
)


class Attempt(Struct, frozen=True):
    """A client's run, and what the server saw of it."""

    run: Run
    seen: Behaviour

    @property
    def refused(self) -> float:
        """The share of the requests that were refused."""
        return self.seen.refused / max(self.seen.requests, 1)


class Outcome(Struct, frozen=True):
    """How Synqup did at one server beside the best of the clients of a fixed concurrency."""

    mood: Mood
    ours: list[Attempt]
    fixed: dict[int, list[Attempt]]

    @property
    def best(self) -> int:
        """The concurrency that brought most."""
        return max(self.fixed, key=lambda one: _rate(self.fixed[one]).median)

    @property
    def share(self) -> Figure:
        """Of what the best fixed concurrency brought, round by round."""
        return ratio(
            [one.run.rate for one in self.ours], [one.run.rate for one in self.fixed[self.best]]
        )


def measure(work: Workplace) -> Report:
    """Bring each server's documents by Synqup, and by a client for each fixed concurrency."""
    found = {name: _outcome(work, name, mood) for name, mood in MOODS.items()}
    return Report(
        scenario="adaptive",
        title=f"Overloaded servers: Synqup by itself, with up to {CONNECTIONS} connections",
        columns=(
            *("the server", "could take", "best fixed, documents/s", "at once", "refused"),
            *("Synqup, documents/s", "share of the best fixed", "refused", "most in flight"),
        ),
        rows=[_row(one) for one in found.values()],
        charts={
            f"adaptive-{name}": plot.lines(
                f"Requests in flight: {one.mood.says}", "seconds", "requests", _in_flight(one)
            )
            for name, one in found.items()
        },
        data={"connections": CONNECTIONS, "servers": found},
        notes=(
            "could take: by a client that always has just as many requests on their way",
            f"fixed: {FIXED}",
            "Synqup: whole processes, from the start of Python to the last acknowledgement",
        ),
    )


def _outcome(work: Workplace, name: str, mood: Mood) -> Outcome:
    dataset = work.dataset(work.documents or mood.documents)
    half = structs.replace(dataset, items=dataset.items[::2])
    rounds = range(1, work.rounds(ROUNDS) + 1)
    found = Outcome(mood, [], {count: [] for count in mood.fixed})
    for round_ in rounds:
        found.ours.append(_ours(work, name, dataset))
        for count, attempts in found.fixed.items():
            attempts.append(_fixed(work, name, half, count))
        work.tell(f"round {round_} of {len(rounds)}: a server that {mood.says}")
    return found


def _ours(work: Workplace, name: str, dataset: Dataset) -> Attempt:
    with overloaded(name, dataset) as origin:
        token_url = f"{origin}/auth/token"
        run = run_ours(work.memory(), dataset, f"{origin}/v4", token_url, CONNECTIONS)
        return Attempt(run, _behaviour(origin))


def _fixed(work: Workplace, name: str, dataset: Dataset, count: int) -> Attempt:
    with overloaded(name, dataset) as origin:
        run = run_network("get-put", work.memory(), dataset.items, f"{origin}/v4", count)
        return Attempt(run, _behaviour(origin))


@contextmanager
def overloaded(mood: str, dataset: Dataset) -> Iterator[str]:
    """Serve in a process of its own (benchmarks/overload.py); yields its address."""
    command = [sys.executable, "-m", "benchmarks.overload", str(dataset.root), mood]
    with subprocess.Popen(
        [*command, str(len(dataset.items))], cwd=ours.ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            if not re.match("http://", origin := process.stdout.readline().strip()):
                raise BenchmarkError("the overloaded server does not start")
            yield origin
        finally:
            process.kill()


def _behaviour(origin: str) -> Behaviour:
    with urlopen(f"{origin}/behaviour") as answer:
        return msgspec.json.decode(answer.read(), type=Behaviour)


def _rate(attempts: list[Attempt]) -> Figure:
    return figure(one.run.rate for one in attempts)


def _row(found: Outcome) -> tuple[str, ...]:
    best = found.fixed[found.best]
    return (
        found.mood.says,
        f"{found.mood.capacity:,.0f}",
        str(_rate(best)),
        f"{found.best}",
        f"{figure(one.refused for one in best).median:.1%}",
        str(_rate(found.ours)),
        str(found.share),
        f"{figure(one.refused for one in found.ours).median:.1%}",
        f"{max(one.seen.most for one in found.ours)}",
    )


def _in_flight(found: Outcome) -> dict[str, list[tuple[float, float]]]:
    shown = {"Synqup": found.ours[-1], f"{found.best} fixed": found.fixed[found.best][-1]}
    return {name: [(at, float(n)) for at, n in one.seen.samples] for name, one in shown.items()}
