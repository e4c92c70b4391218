"""The whole proof, on demand: `python -m tests.crash COMMAND`."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tests.helpers.postgres import missing

from . import kill as killing, power as cutting, schedules as scheduling, soak as soaking, traced
from .cluster import torture as torturing
from .naive import NAIVE
from .world import hosting

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)

# The sandbox's server would tell of each client that died in the middle of a request.
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)

Platform = Annotated[
    str, typer.Option(help="The kind of source, and options of it: billit,door=inbox,pause=0.")
]
Every = Annotated[int, typer.Option(min=1, help="Try every n-th only.")]

#: A mode of its own.
SCHEDULES = "schedules"

#: The name of each, whether the process died there, and what is wrong then.
Trials = Iterable[tuple[str, bool, list[str]]]


def _report(what: str, trials: Trials) -> bool:
    """Print what is wrong as it is found, then the sum; whether anything is."""
    began, tried, reached, wrong = time.monotonic(), 0, 0, 0
    for name, was_reached, problems in trials:
        tried += 1
        reached += was_reached
        if problems:
            wrong += 1
            print(f"{name}: {'; '.join(problems)}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{tried}", end="\r", file=sys.stderr)
    seconds = time.monotonic() - began
    print(f"{what}: {tried} tried, {reached} reached, {wrong} wrong, in {seconds:.0f} s")
    return bool(wrong or not reached)


def _end(wrong: bool) -> None:
    if wrong:
        raise typer.Exit(1)


@app.command()
def kill(every: Every = 1, platform: Platform = "billtobox") -> None:
    """SIGKILL before and after each call, with a quick importer and with a slow one."""
    with tempfile.TemporaryDirectory(prefix="synqup-kill-") as name, hosting(platform) as host:
        count = len(killing.record(host, Path(name)))
        print(f"{count} calls in a run that nothing disturbs")

        def trials() -> Trials:
            for importer in (True, False):
                for after in (False, True):
                    numbers = range(1, 2 * count, every)
                    points = (killing.Point(number, after, importer) for number in numbers)
                    for trial in killing.try_all(host, Path(name), points):
                        yield str(trial.point), trial.reached, trial.problems

        wrong = _report("crash points", trials())
    _end(wrong)


@app.command()
def twice(points: int = 150, seed: int = 1, platform: Platform = "billtobox") -> None:
    """SIGKILL at a call, and at a call of the restart too: drawn by a seed."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="synqup-twice-") as name, hosting(platform) as host:
        count = len(killing.record(host, Path(name)))

        def trials() -> Trials:
            for _ in range(points):
                # The first third of the calls of a restart are those of recovery.
                point = killing.Point(
                    rng.randint(count // 4, count),
                    rng.random() < 0.5,
                    rng.random() < 0.5,
                    rng.randint(1, count // 3),
                )
                trial = killing.try_point(host, Path(name) / "trial", point)
                yield str(trial.point), trial.reached, trial.problems

        wrong = _report("double crashes", trials())
    _end(wrong)


@app.command()
def strace(every: Every = 1, documents: int = 3) -> None:
    """SIGKILL at each system call, SQLite's own included; needs strace, and leave to trace."""
    if not traced.usable():
        print("strace is not here, or may not trace: install it, or run where ptrace is permitted")
        raise typer.Exit(2)
    with tempfile.TemporaryDirectory(prefix="synqup-strace-") as name, hosting() as host:
        steps = traced.steps(host, Path(name), documents)[::every]
        print(f"{len(steps)} steps")
        trials = traced.try_steps(host, Path(name), documents, steps)
        named = ((str(step), died, problems) for step, died, problems in trials)
        wrong = _report("steps", named)
    _end(wrong)


@app.command()
def power(
    every: Every = 1,
    documents: int = 8,
    seeds: int = 2,
    kills: int = 3,
    platform: Platform = "billtobox",
) -> None:
    """Cut the power after each call: what was not flushed is gone, or as seeds decide.

    Then the same of a restart, after a SIGKILL at one of the first renames (--kills of them), and
    of a run in which no folder of documents could be flushed, and the next.
    """
    wrong = False
    for number in [*range(kills + 1), -1]:
        with tempfile.TemporaryDirectory(prefix="synqup-power-") as name, hosting(platform) as host:
            recording = cutting.record(
                host, Path(name), documents, kill=max(number, 0), unflushed=number < 0
            )
            cuts = cutting.cuts(recording, every)
            print(f"{len(cuts)} cuts; trees that are the same are tried once")
            trials = cutting.try_all(host, recording, cuts, cutting.losses(seeds))
            named = ((f"after {t.cut} ({t.call}), {t.loss}", True, t.problems) for t in trials)
            what = f"power cuts after a kill at rename {number}" if number else "power cuts"
            what = "power cuts around flushes that fail" if number < 0 else what
            wrong |= _report(what, named)
    _end(wrong)


@app.command()
def soak(documents: int = 20_000, seed: int = 1, minutes: float = 10) -> None:
    """The service under restarts by SIGKILL, edits and an importer; memory and files watched."""
    with tempfile.TemporaryDirectory(prefix="synqup-soak-") as name, hosting() as host:
        result = soaking.soak(host, Path(name), documents, seed, minutes * 60)
    print(result)
    if result.problems:
        raise typer.Exit(1)


@app.command()
def cluster(
    modes: Annotated[list[str], typer.Argument(help=", ".join([*torturing.MODES, SCHEDULES]))],
    documents: int = 300,
    nodes: int = 3,
    companies: int = 120,
    seconds: Annotated[float, typer.Option(help="For which there are faults.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Of what is drawn; 0: any, for schedules.")] = 0,
    naive: Annotated[str, typer.Option(help=", ".join(NAIVE))] = "",
    patience: Annotated[float, typer.Option(help="Seconds after the last fault.")] = 90.0,
    minutes: Annotated[float, typer.Option(help="Of schedules.")] = 10.0,
    only: Annotated[list[int] | None, typer.Option(help="Plays of a seed, of schedules.")] = None,
) -> None:
    """Several nodes under faults, with PostgreSQL and an importer; each mode by itself.

    Schedules are three attempts at one document, a step of one of them at a time, in any order.
    With --naive all nodes are of a design that is known to be wrong, and the run has to find it.
    """
    if why := missing():
        print(why)
        raise typer.Exit(2)
    wrong = False
    for mode in modes:
        if mode == SCHEDULES:
            drawn = seed or random.SystemRandom().randrange(1, 1_000_000)
            total = scheduling.run(drawn, minutes, only or (), naive)
            print(total, flush=True)
            wrong |= bool(total.wrong)
            continue
        order = torturing.Order(
            mode, documents, nodes, companies, seconds, seed or 1, naive, patience
        )
        result = torturing.torture(order)
        print(result, flush=True)
        wrong |= result.is_wrong
    _end(wrong)


if __name__ == "__main__":
    app()
