"""Schedules: attempts of several nodes at one document, a step of one of them at a time, by chance.

The processes, the folder and PostgreSQL are real. What comes next is drawn: who goes on, who dies,
who sleeps until others have ended, what a folder refuses, which commit has no answer, when another
program takes the name, and when an importer takes what is visible. The seed and the number of a
play say all of it, so that it can be played again.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from pipeline.ledger.place import PostgresPlace
from pipeline.ledger.postgres_store import open_postgres
from tests.helpers.ledgers import psycopg_of
from tests.helpers.postgres import running_postgres

from .cluster.rig import AUDIT
from .gates import MADE, MAY_FAIL, NOT_MADE, REFUSE, Gated
from .naive import NAIVE
from .nodes import Mailroom
from .scene import EMPTY, Scene

#: Who tries: nodes of their own, or processes that take one another for an earlier one of theirs.
NAMES = (("n1", "n2", "n3"), ("n1", "n2", "n3"), ("n1", "n1", "n2"), ("n1", "n1", "n1"))
#: Steps of a play, at most.
MOST = 3000


class Luck(NamedTuple):
    """What is drawn for the whole of a play. Shares of the steps, but for the two last.

    stays: after which the same attempt goes on. quick: whether an importer takes at once what is
    visible. occupied: the step before which another program takes the name.
    """

    stays: float
    dies: float
    sleeps: float
    wakes: float
    cut: float
    quick: bool
    occupied: int


class Played(NamedTuple):
    """What came of a play. steps: how often each was let go, or what else was done there."""

    number: int
    problems: list[str]
    steps: Counter[str]
    takeovers: int
    trace: list[str]

    def __str__(self) -> str:
        return "\n".join([f"play {self.number}: {'; '.join(self.problems)}", *self.trace])


class Play(Scene):
    """One play."""

    def __init__(self, room: Mailroom, rng: random.Random, naive: str) -> None:
        super().__init__(room, [NAIVE[naive]] if naive else [])
        self._rng = rng
        self._luck = _luck(rng)
        self._asleep: dict[Gated, str] = {}
        #: How often the folder refuses each of them, of what it asks for.
        self._refuses: dict[Gated, float] = {}
        self._current: Gated | None = None
        #: Whether nothing is wrong any more but what was.
        self._is_calm = False

    def run(self) -> None:
        """Play it to its end."""
        try:
            for number, name in enumerate(self._rng.choice(NAMES)):
                # One that is patient sends a change again that has had no answer.
                patience = 10.0 if self._rng.random() < 0.6 else 0.0
                node = self.start(name, f"{name}{'abc'[number]}", patience=patience)
                self._refuses[node] = self._rng.choice([0.0, 0.0, 0.3, 1.0])
            self._go_on()
            late, self._asleep = self._asleep, {}
            self._is_calm = True
            self.start("n4", "n4")
            self._go_on()
            self.check()
            self.nodes = late
            self._go_on()
            self.check(late=True)
        finally:
            self.nodes |= self._asleep
            self.close()

    def _go_on(self) -> None:
        """Let the nodes go on until all have ended, or sleep until after the last one."""
        while self.nodes or (self._asleep and self._rng.random() < 0.6):
            if len(self.trace) > MOST:
                raise TimeoutError("a play does not end")
            if self._asleep and (not self.nodes or self._rng.random() < self._luck.wakes):
                node = self._rng.choice(list(self._asleep))
                self.nodes[node] = self._asleep.pop(node)
                self.trace.append(f"{node.name} wakes")
            self._happen()
            node = self._next()
            self._do(node)
            # A transaction that is open would keep the others waiting: it ends before.
            while self.nodes.get(node, "").startswith("commit"):
                self._do(node)

    def _next(self) -> Gated:
        if self._current not in self.nodes or self._rng.random() >= self._luck.stays:
            self._current = self._rng.choice(list(self.nodes))
        assert self._current is not None
        return self._current

    def _do(self, node: Gated) -> None:
        luck, chance, step = self._luck, self._rng.random(), self.nodes[node]
        is_commit = step.startswith("commit")
        if self._is_calm:
            self.let(node)
        elif chance < luck.dies:
            self.kill(node)
        elif chance < luck.dies + luck.sleeps and not is_commit:
            self.note(node, step, "sleeps")
            self._asleep[node] = self.nodes.pop(node)
        elif is_commit and self._rng.random() < luck.cut:
            self.let(node, self._rng.choice([MADE, NOT_MADE]))
        elif step in MAY_FAIL and self._rng.random() < self._refuses[node] * MAY_FAIL[step]:
            self.let(node, REFUSE)
        else:
            self.let(node)

    def _happen(self) -> None:
        """What others do in the folder."""
        if len(self.trace) >= self._luck.occupied and self.occupy():
            self._luck = self._luck._replace(occupied=MOST)
        if self._luck.quick or self._rng.random() < 0.05:
            self.take()


def _luck(rng: random.Random) -> Luck:
    return Luck(
        stays=rng.choice([0.3, 0.7, 0.9, 0.97]),
        dies=rng.choice([0.0, 0.01, 0.03]),
        sleeps=rng.choice([0.01, 0.03, 0.06]),
        wakes=rng.choice([0.0, 0.02, 0.1]),
        cut=rng.choice([0.0, 0.1, 0.3]),
        quick=rng.random() < 0.7,
        occupied=rng.randrange(80) if rng.random() < 0.25 else MOST,
    )


def play(dsn: str, folder: Path, seed: int, number: int, naive: str = "") -> Played:
    """Play the number-th play of a seed."""
    rng = random.Random(f"{seed}/{number}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    room = Mailroom(folder, PostgresPlace(dsn), sidecar=rng.random() < 0.6)
    room.twins = rng.random() < 0.3
    anyio.run(room.documents)
    with psycopg_of(room.place) as connection:
        connection.execute(f"{EMPTY}; DELETE FROM takeovers")
        one = Play(room, rng, naive)
        try:
            one.run()
        except TimeoutError as error:
            one.problems.append(str(error))
        ((takeovers,),) = connection.execute("SELECT count(*) FROM takeovers").fetchall()
    if one.problems and (said := folder / "said").is_file():
        one.trace.append(said.read_text())
    return Played(number, list(dict.fromkeys(one.problems)), one.steps, takeovers, one.trace)


def prepare(dsn: str) -> None:
    """Make the ledger in a database, and note there who takes over what."""
    open_postgres(dsn, "schedules").close()
    with psycopg_of(PostgresPlace(dsn)) as connection:
        connection.execute(AUDIT)


def plays(
    dsn: str, folder: Path, seed: int, numbers: Iterable[int], naive: str = ""
) -> Iterator[Played]:
    """Play some plays of a seed, in a database that has a ledger; see prepare()."""
    for number in numbers:
        yield play(dsn, folder / "play", seed, number, naive)


class Sum:
    """What came of many plays."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.plays = 0
        self.takeovers = 0
        self.with_takeover = 0
        self.steps: Counter[str] = Counter()
        self.wrong: list[Played] = []
        self._began = time.monotonic()

    def add(self, one: Played) -> None:
        self.plays += 1
        self.takeovers += one.takeovers
        self.with_takeover += bool(one.takeovers)
        self.steps += one.steps
        if one.problems:
            self.wrong.append(one)

    def __str__(self) -> str:
        seconds = time.monotonic() - self._began
        steps = "\n".join(f"  {number:8} {step}" for step, number in sorted(self.steps.items()))
        return (
            f"{steps}\nschedules: seed {self.seed}, {self.plays} plays in {seconds:.0f} s,"
            f" {sum(self.steps.values())} steps, {self.takeovers} takeovers in"
            f" {self.with_takeover} of the plays, {len(self.wrong)} wrong"
        )


def run(seed: int, minutes: float, numbers: Sequence[int] = (), naive: str = "") -> Sum:
    """Play for so long, by several processes; tell of each wrong play.

    numbers: of the plays, if not all that there is time for.
    """
    print(f"schedules: seed {seed}", flush=True)
    until = time.monotonic() + minutes * 60
    # A step waits for disks more than it computes.
    workers = 1 if numbers else 2 * (os.cpu_count() or 1)
    with running_postgres() as server, tempfile.TemporaryDirectory(prefix="synqup-play-") as name:
        results: Any = multiprocessing.get_context("fork").SimpleQueue()

        def work(first: int) -> None:
            folder = Path(name) / str(first)
            folder.mkdir()
            with server.database() as dsn:
                prepare(dsn)
                gc.freeze()
                for one in plays(dsn, folder, seed, numbers or count(first, workers), naive):
                    results.put(one if one.problems else one._replace(trace=[]))
                    if time.monotonic() > until:
                        break
            results.put(None)

        context = multiprocessing.get_context("fork")
        running = [context.Process(target=work, args=(first,)) for first in range(workers)]
        for process in running:
            process.start()
        total = Sum(seed)
        left = workers
        while left:
            one = results.get()
            if one is None:
                left -= 1
            else:
                total.add(one)
                if one.problems:
                    print(one, flush=True)
        for process in running:
            process.join()
    return total
