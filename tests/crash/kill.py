"""A crash at every step: SIGKILL before and after each call, a restart, and what must hold."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .plan import Call, Plan
from .processes import KILLED
from .world import Host, World

#: Documents of a run: of each kind, and several of one kind, so that groups form.
DOCUMENTS = 8
#: After so many numbers in a row that a run did not reach, there are no more.
BEYOND = 3


class Point(NamedTuple):
    """Where to die. importer: files are taken the instant that they appear; else at the end.

    again: the number of the call at which the restart dies too; 0: it does not.
    """

    number: int
    after: bool = False
    importer: bool = True
    again: int = 0


class Trial(NamedTuple):
    """What came of one point. reached: the process died there."""

    point: Point
    reached: bool
    problems: list[str]


def record(host: Host, folder: Path) -> list[Call]:
    """Every call of a run that nothing disturbs."""
    with host.world(folder / "record", DOCUMENTS) as world:
        file = folder / "calls"
        plan = Plan(world.folder, record=file)
        status = world.synqup("catch-up", plan=plan)
        world.take()
        assert status == 0, world.said()
        assert not world.problems()
    return list(load(file))


def load(file: Path) -> Iterator[Call]:
    """The calls of a record."""
    with file.open("rb") as stream:
        while True:
            try:
                yield pickle.load(stream)
            except EOFError:
                return


def try_point(host: Host, folder: Path, point: Point) -> Trial:
    """Die at one point, restart, look."""
    shutil.rmtree(folder, ignore_errors=True)
    with host.world(folder, DOCUMENTS) as world:
        numbers = [point.number, point.again] if point.again else [point.number]
        died = [_run(world, point, number) for number in numbers]
        world.take()
        last = _run(world, point)
        problems = [] if last == 0 else [f"the last run ended with {last}:\n{world.said()}"]
        problems += [f"a run ended with {one}" for one in died if one not in (0, KILLED)]
        return Trial(point, died[0] == KILLED, problems + world.problems())


def _run(world: World, point: Point, number: int = 0) -> int:
    """Run, and die at the call of this number; with 0 at none."""
    taking = world.out if point.importer else None
    plan = Plan(world.folder, kill=number, after=point.after, importer=taking)
    if not point.importer:
        status = world.synqup("catch-up", plan=plan)
        if status == 0:
            world.take()
        return status
    with world.importer():
        return world.synqup("catch-up", plan=plan)


def try_all(host: Host, folder: Path, points: Iterable[Point]) -> Iterator[Trial]:
    """Try points until BEYOND of them in a row lay past the end of the run."""
    beyond = 0
    for point in points:
        trial = try_point(host, folder / "trial", point)
        yield trial
        beyond = 0 if trial.reached else beyond + 1
        if beyond == BEYOND:
            return


def around_delivery(calls: list[Call], every: int) -> list[int]:
    """The numbers of the calls that make files visible and of their neighbours, and each n-th."""
    showing = {"renameat2", "rename", "replace", "link", "commit"}
    chosen = {call.number for call in calls[::every]}
    for call in calls:
        if call.name in showing and not call.paths[0].endswith(".log"):
            chosen |= {call.number - 1, call.number, call.number + 1}
    return sorted(chosen & {call.number for call in calls})
