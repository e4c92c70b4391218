"""Result: what was ordered of a run, and what came of it, counted from outside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.helpers.processes import synqup

from .inside import Fate
from .nodes import Node
from .rig import Rig, Takeovers

#: What a node never has to say.
BUG = re.compile(r"Traceback \(most recent|because of a bug")


class Order(NamedTuple):
    """What is to be run. seconds: for which there are faults; naive: a design known to be wrong.

    fates: what the first processes of the nodes meet, besides.
    """

    mode: str
    documents: int = 300
    nodes: int = 3
    companies: int = 120
    seconds: float = 60.0
    seed: int = 1
    naive: str = ""
    patience: float = 90.0
    fates: tuple[Fate, ...] = ()


class Result(NamedTuple):
    """What came of it.

    acks: of all documents, repeated ones too. waits: seconds from a node's standing still until
    another took over. after: seconds from the last fault until all was delivered and told. bugs:
    what nodes have said that none should.
    """

    order: Order
    documents: int
    arrived: int
    acks: int
    faults: dict[str, int]
    ends: dict[int, int]
    takeovers: Takeovers
    waits: list[int]
    lost: int
    twice: int
    wrong_acks: int
    torn: int
    seconds: float
    after: float
    problems: list[str]
    bugs: list[str]

    @property
    def is_wrong(self) -> bool:
        return bool(self.problems or self.bugs)

    def __str__(self) -> str:
        order, takeovers = self.order, self.takeovers
        counted = self.lost + self.twice + self.wrong_acks + self.torn
        text = (
            f"{order.mode} {order.naive}: {order.nodes} nodes, {self.documents} documents,"
            f" {self.arrived} delivered, {self.acks} acknowledgements, seed {order.seed}\n"
            f"  faults {self.faults or 'none'}, ends of processes {self.ends or 'none'}\n"
            f"  takeovers of staged rows by other nodes {takeovers.by_others}"
            f" {takeovers.of or ''}, by a restart {takeovers.by_restart};"
            f" begun {self.waits or 'never'} s after a node stood still\n"
            f"  lost {self.lost}, twice {self.twice}, wrong acknowledgements {self.wrong_acks},"
            f" torn {self.torn}, other problems {len(self.problems) - counted},"
            f" bugs {len(self.bugs)}\n"
            f"  {self.seconds:.0f} s, {self.after:.0f} s of them after the last fault"
        )
        lines = [text]
        if not self.takeovers.by_others:
            lines.append("  no row was taken over by another node: this run proves little")
        lines += [
            f"  ! {one}" for one in [*self.problems[:10], *self.problems[10:][-4:], *self.bugs[:5]]
        ]
        return "\n".join(lines)


def misled(node: Node, other: Node, rig: Rig) -> list[str]:
    """What a node that does not see the volume has done in its place, or not said.

    other: a node that sees it, which is asked for the status of all.
    """
    place = Path(f"/proc/{node.pid}/root{rig.out}")
    found = [
        f"delivered where its volume is not: {one.relative_to(place)}"
        for one in place.rglob("*")
        if one.is_file() and not one.name.startswith(".")
    ]
    if not any(".synqup-volume" in text for _, text in node.said()):
        found.append("the node without the volume does not say so")
    status = synqup("status", "--config", other.config)
    if not re.search(r"can't deliver into .*: its volume is not there", status):
        found.append(f"the status does not say which node is without the volume: {status}")
    return found


def result(
    rig: Rig, its: Sequence[Node], order: Order, faults: Counter[str], ends: Counter[int],
    waits: list[int], seconds: float, after: float, found: Sequence[str] = (),
) -> Result:  # fmt: skip
    """Count what came of a run. found: problems that are known already."""
    problems = [*rig.problems(), *found]

    def count(beginning: str) -> int:
        return sum(bool(re.match(beginning, one)) for one in problems)

    if rig.arrived() < order.documents:
        for node in its:
            said = [f"last words of {name}: {text[-1000:]}" for name, text in node.said() if text]
            problems += said[-1:]
    bugs = [
        f"{name}: {text[max(0, hit.start() - 200) : hit.start() + 1500]}"
        for node in its
        for name, text in node.said()
        if (hit := BUG.search(text))
    ]
    return Result(
        order, rig.documents, rig.arrived(), rig.acks, dict(sorted(faults.items())),
        dict(sorted(ends.items())), rig.takeovers(), waits, count("lost"), count(r"\d+ times"),
        len(rig.wrong_acks), count("partial"), seconds, after, problems, bugs,
    )  # fmt: skip
