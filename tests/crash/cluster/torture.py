"""Torture: brings documents by several nodes under faults, and counts what comes of it."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import psycopg

from tests.crash.world import wait_until

from .inside import OPEN, RESUMING, STEPS, Fate
from .nodes import Node, nodes
from .result import Order, Result, misled, result
from .rig import Rig, rigged

TICK = 0.1
#: Seconds: after which others no longer count on a node that is silent, and a little more.
STALLED = 16.0
#: Seconds for which a node that hangs at a step is left, at most.
HANGING = 24.0
#: Seconds after which a node that has not come to its step is given another one.
BORED = 20.0
#: Share of the documents that are there from the beginning.
BACKLOG = 0.3
#: The faults of each mode.
MODES: Mapping[str, Sequence[str]] = {
    "none": (),
    "kill": ("kill", "steps"),
    "stop": ("stop", "steps"),
    "cut": ("cut", "steps"),
    "postgres": ("postgres", "steps"),
    "steps": ("steps",),
    "jobs": ("jobs", "kill", "steps"),
    "volume": ("steps",),
    "differ": ("steps",),
    "all": ("kill", "stop", "cut", "postgres", "steps", "jobs"),
}
#: What strikes a node that has stopped at a step, in each mode; in others nothing.
STRIKES = {"cut": ("cut",), "postgres": ("postgres",), "all": ("", "", "cut", "postgres")}
#: How a node ends at a step in these modes; in others either way.
HOW = {"kill": (signal.SIGKILL,), "stop": (signal.SIGSTOP,)}
#: In this mode the last node does not see the volume of the folders; in this one it is configured
#: without some of the companies.
HIDDEN, DIFFERING = "volume", "differ"
#: Seconds between two faults of a kind, on average.
PACE = {"kill": 4.0, "stop": 9.0, "cut": 8.0, "postgres": 12.0, "jobs": 3.0}


class Torture:
    """One run."""

    def __init__(self, rig: Rig, its: Sequence[Node], order: Order) -> None:
        self._rig = rig
        self._nodes = its
        self._order = order
        self._rng = random.Random(order.seed)
        self._kinds = MODES[order.mode]
        self._began = time.monotonic()
        self._faults_end = self._began + (order.seconds if self._kinds else 0.0)
        self._last_fault = self._began
        self._due = {kind: self._next(kind) + 3.0 for kind in self._kinds if kind in PACE}
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._backlog = rig.documents
        self._grown = self._began
        self.faults: Counter[str] = Counter()
        #: Seconds until another node took over what a node had in hand that stood still.
        self.waits: list[int] = []

    def run(self) -> float:
        """Run until all is delivered and told, or patience ends; seconds after the last fault."""
        late = self._nodes[-1:] if self._order.mode == HIDDEN else []
        given = dict(zip((one.name for one in self._nodes), self._order.fates, strict=False))
        for node in self._nodes:
            if node not in late:
                node.fate = given.get(node.name, Fate() if late else self._fate(node))
                node.start()
                if node.name in given and node.fate.step:
                    # Before others have brought what it is to bring.
                    wait_until(lambda node=node: node.is_stopped or not node.is_alive)
        for node in late:
            # Whoever delivers into a folder first decides what its volume is.
            wait_until(lambda: self._rig.told() >= self._backlog)
            node.fate = Fate(hidden=self._rig.out)
            node.start()
        while True:
            self._tick()
            is_calm = time.monotonic() >= self._faults_end and not self._later
            if is_calm and self._is_done():
                break
            if time.monotonic() > max(self._faults_end, self._last_fault) + self._order.patience:
                break
            time.sleep(TICK)
        return time.monotonic() - max(self._last_fault, self._grown)

    def _is_done(self) -> bool:
        total = self._order.documents
        return (
            self._rig.documents >= total
            and self._rig.arrived() >= total
            and self._rig.told() >= total
        )

    def _tick(self) -> None:
        now = time.monotonic()
        self._grow(now)
        due = [action for at, action in self._later if at <= now]
        self._later = [one for one in self._later if one[0] > now]
        for action in due:
            action()
            self._last_fault = now
        has_faults = now < self._faults_end
        for node in self._nodes:
            node.supervise(partial(self._fate, node), partial(self._ended, node))
            if node.fate.step and node.stopped_at is None and node.is_stopped:
                self._hangs(node)
        for kind, at in self._due.items():
            if has_faults and at <= now:
                self._due[kind] = now + self._next(kind)
                getattr(self, f"_{kind}")()
                self._last_fault = now
        if "steps" in self._kinds and has_faults:
            self._hurry(now)

    def _next(self, kind: str) -> float:
        return self._rng.uniform(0.4, 1.6) * PACE[kind]

    def _grow(self, now: float) -> None:
        """Let the mailbox receive the rest of its documents in two thirds of the time of faults."""
        total = self._order.documents
        span = max((self._faults_end - self._began) * 0.9, 1.0)
        wanted = self._backlog + (total - self._backlog) * min((now - self._began) / span, 1.0)
        if (more := int(wanted) - self._rig.documents) > 0:
            self._rig.grow(more)
            self._grown = now

    # --- nodes that hang or die at a step

    def _fate(self, node: Node) -> Fate:
        """What the next process of a node meets: a step for all but one node at a time."""
        fate = Fate(naive=self._order.naive, hidden=node.fate.hidden)
        armed = sum(bool(one.fate.step) and one is not node for one in self._nodes)
        has_steps = "steps" in self._kinds and time.monotonic() < self._faults_end
        if not has_steps or armed >= len(self._nodes) - 1 or fate.hidden:
            return fate
        then = self._rng.choice(STRIKES.get(self._order.mode, ("",)))
        ways = HOW.get(self._order.mode, (signal.SIGSTOP, signal.SIGKILL))
        how = signal.SIGSTOP if then else self._rng.choice(ways)
        fate = fate._replace(how=how, then=then)
        luck = self._rng.random()
        if luck < 0.2 and not any(one.fate.step in RESUMING for one in self._nodes):
            # Passed only by a node that resumes what another has left.
            return fate._replace(step=self._rng.choice(RESUMING))
        names = OPEN if luck < 0.8 else [one for one in STEPS if one not in RESUMING]
        return fate._replace(step=self._rng.choice(names), number=self._rng.randint(1, 3))

    def _ended(self, node: Node) -> None:
        """Note at which step a node died. By turns it goes on itself, or others have to."""
        if node.fate.step and node.fate.how == signal.SIGKILL:
            self.faults[f"died: {node.fate.step}"] += 1
            self._last_fault = time.monotonic()
            if self._rng.random() < 0.6:
                node.rest(STALLED + self._rng.uniform(1, 5))
        node.fate = node.fate._replace(step="")

    def _hangs(self, node: Node) -> None:
        """Note that a node stands at its step, and do to it what its fate says."""
        step, then = node.fate.step, node.fate.then
        self.faults[f"{then or 'hung'}: {step}"] += 1
        if not then:
            node.stopped_at = time.monotonic()
            self._watch(node, self._rig.takeovers().of.get(node.name, 0), node.stopped_at)
            return
        node.fate = node.fate._replace(step="")
        if then == "cut":
            self._cut_off(node, self._rng.choice([self._rng.uniform(1, 8), HANGING, HANGING]))
        elif self._rig.server.is_running:
            self._postgres()
        node.send(signal.SIGCONT)

    def _watch(self, node: Node, before: int, since: float) -> None:
        """Look again in a second whether what a node has left was taken over, and wake it."""
        is_open = node.fate.step in (*OPEN, *RESUMING)
        patience = HANGING if is_open else self._rng.uniform(2, STALLED)

        def look() -> None:
            taken = self._rig.takeovers().of.get(node.name, 0) > before
            if taken or time.monotonic() > since + patience:
                self.faults["woken after a takeover" if taken else "woken"] += 1
                if taken:
                    self.waits.append(round(time.monotonic() - since))
                node.stopped_at = None
                node.fate = node.fate._replace(step="")
                self._later.append(
                    (time.monotonic() + self._rng.uniform(0, 1), lambda: node.send(signal.SIGCONT))
                )
            else:
                self._watch(node, before, since)

        self._later.append((time.monotonic() + 1.0, look))

    def _hurry(self, now: float) -> None:
        """Kill what has not come to its step for long, so that it gets another one."""
        for node in self._nodes:
            bored = node.is_alive and node.stopped_at is None and now > node.started_at + BORED
            if bored and not node.is_stopped and not node.fate.hidden:
                others = [one.fate.step for one in self._nodes if one is not node]
                if node.fate.step not in RESUMING and (node.fate.step or others.count("") > 1):
                    self.faults["kill, never at its step"] += 1
                    node.fate = node.fate._replace(step="")
                    node.send(signal.SIGKILL)

    # --- faults that come from outside

    def _kill(self) -> None:
        node = self._rng.choice(self._nodes)
        if node.is_alive and not node.is_stopped:
            self.faults["kill"] += 1
            node.fate = node.fate._replace(step="")
            node.send(signal.SIGKILL)
            if self._rng.random() < 0.25:
                node.rest(STALLED + self._rng.uniform(1, 5))

    def _stop(self) -> None:
        node = self._rng.choice(self._nodes)
        if node.is_alive and not node.is_stopped:
            seconds = self._rng.choice([self._rng.uniform(2, 9), self._rng.uniform(16, 22)])
            self.faults["stop" if seconds < STALLED else "stop beyond the heartbeat"] += 1
            node.fate = node.fate._replace(step="")
            node.send(signal.SIGSTOP)
            self._later.append((time.monotonic() + seconds, lambda: node.send(signal.SIGCONT)))

    def _cut(self) -> None:
        node = self._rng.choice(self._nodes)
        if not node.link.is_cut:
            self._cut_off(node, self._rng.choice([self._rng.uniform(1, 6), HANGING]))

    def _cut_off(self, node: Node, seconds: float) -> None:
        """Cut a node off from PostgreSQL for so long: both ways, or of its answers only."""
        requests, reset = self._rng.random() < 0.5, self._rng.random() < 0.5
        self.faults["cut" if requests else "cut, answers only"] += 1
        node.link.cut(requests=requests)
        self._later.append((time.monotonic() + seconds, lambda: node.link.heal(reset=reset)))

    def _postgres(self) -> None:
        if self._rig.server.is_running:
            self.faults["postgres"] += 1
            self._rig.server.kill()
            self._due["postgres"] = time.monotonic() + 6.0 + self._next("postgres")
            self._later.append((time.monotonic() + self._rng.uniform(0, 4), self._rig.server.start))

    def _jobs(self) -> None:
        with suppress(psycopg.Error):
            self._rig.rows("TRUNCATE procrastinate_jobs CASCADE")
            self.faults["jobs truncated"] += 1


def torture(order: Order) -> Result:
    """Run what was ordered, in a rig of its own."""
    backlog = max(1, round(order.documents * BACKLOG))

    def edit(node: Node) -> None:
        if order.mode == DIFFERING and node.name == f"n{order.nodes}":
            node.forget_companies(3)

    with rigged(backlog, companies=order.companies, seed=order.seed) as rig:
        with nodes(rig, order.nodes, edit=edit) as its:
            run = Torture(rig, its, order)
            began = time.monotonic()
            after = run.run()
            seconds = time.monotonic() - began
            ends: Counter[int] = sum((one.ends for one in its), Counter())
            found = misled(its[-1], its[0], rig) if order.mode == HIDDEN else []
        time.sleep(0.5)  # the importer's
        return result(rig, its, order, run.faults, ends, run.waits, seconds, after, found)
