"""A crash at every step: SIGKILL before and after each call, a restart, and what must hold.

With workers there are three sorts of it: the first process dies, a worker dies, or all of them.
A worker that dies has to be outlived: no restart helps.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from .hook import Call, Plan
from .processes import KILLED
from .world import Host, World

#: Documents of a run: of each kind, and several of one kind, so that groups form.
DOCUMENTS = 8
#: After so many numbers in a row that a run did not reach, there are no more.
BEYOND = 3


class Dies(StrEnum):
    """Who dies, at a call of whom."""

    FIRST = "the first process"
    WORKER = "a worker"
    ALL = "all, at a call of a worker"


class Point(NamedTuple):
    """Where to die. importer: files are taken the instant that they appear; else at the end.

    again: the number of the call at which the restart dies too, or the worker that follows; 0: it
    does not. dies: who, where there is more than one process.
    """

    number: int
    after: bool = False
    importer: bool = True
    again: int = 0
    workers: int = 1
    dies: Dies = Dies.FIRST


class Trial(NamedTuple):
    """What came of one point. reached: the process died there."""

    point: Point
    reached: bool
    problems: list[str]


def record(host: Host, folder: Path, workers: int = 1) -> dict[Dies, list[Call]]:
    """Every call of a run that nothing disturbs, of the first process and of the busiest worker."""
    with host.world(folder / "record", DOCUMENTS, workers=workers) as world:
        file = folder / "calls"
        plan = Plan(world.folder, record=file)
        status = world.synqup("catch-up", plan=plan, workers=(plan,) if workers > 1 else ())
        world.take()
        assert status == 0, world.said()
        assert not world.problems()
    calls = {Dies.FIRST: list(load(file))}
    if workers > 1:
        busiest = max((list(load(one)) for one in folder.glob("calls-*")), key=len)
        calls |= {Dies.WORKER: busiest, Dies.ALL: busiest}
    return calls


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
    with host.world(folder, DOCUMENTS, workers=point.workers) as world:
        outlived = point.dies is Dies.WORKER
        numbers = [point.number, point.again] if point.again else [point.number]
        statuses = []
        if outlived:
            statuses.append(_run(world, point, *numbers))
        else:
            statuses += [_run(world, point, number) for number in numbers]
            world.take()
            statuses.append(_run(world, point))
        *died, last = statuses
        problems = [] if last == 0 else [f"the last run ended with {last}:\n{world.said()}"]
        problems += [f"a run ended with {one}" for one in died if one not in (0, KILLED)]
        reached = (folder / "mark-0").exists() if outlived else died[0] == KILLED
        return Trial(point, reached, problems + world.problems() + world.orphans())


def _run(world: World, point: Point, *numbers: int) -> int:
    """Run with so many deaths at calls of these numbers, by whoever the point says."""
    plan = Plan(world.folder, after=point.after, importer=world.out if point.importer else None)
    first, workers = plan, (plan,) if point.workers > 1 else ()
    marks = len(list(world.folder.glob("mark-*")))
    if point.dies is Dies.FIRST:
        first = plan._replace(kill=numbers[0] if numbers else 0)
    elif numbers:
        workers = tuple(
            plan._replace(
                kill=number,
                mark=world.folder / f"mark-{index}",
                together=point.dies is Dies.ALL,
            )
            for index, number in enumerate(numbers, marks)
        )
    if not point.importer:
        status = world.synqup("catch-up", plan=first, workers=workers)
        if status == 0:
            world.take()
        return status
    with world.importer():
        return world.synqup("catch-up", plan=first, workers=workers)


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
