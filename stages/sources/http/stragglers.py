"""Stragglers: requests for lists that are late, which no walk over the other lists waits for.

A request goes on where it is left, until it is answered or fails; the next walk has what came of it
and asks nothing else of that list meanwhile. They end with their source, by close().
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import copy_context
from typing import Generic, TypeVar

from msgspec import Struct

from pipeline.behalf import LATE, company_at_work
from pipeline.errors import PartFailed

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class Step(Struct, Generic[K, R], frozen=True):
    """One request for a list. company: whose list it is; "" for that of all, which is waited for.

    work: asks, and returns what came of it.
    """

    key: K
    company: str
    work: Callable[[], Awaitable[R]]


class Stragglers(Generic[K, R]):
    """The requests of one source that were left, by what they are for."""

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[R]] = {}

    def __contains__(self, key: K) -> bool:
        return key in self._tasks

    @property
    def keys(self) -> list[K]:
        """What they are for."""
        return list(self._tasks)

    def answered(self) -> list[tuple[K, R]]:
        """Take what came of those that have ended. Raises what a task has raised."""
        ended = [key for key, task in self._tasks.items() if task.done()]
        return [(key, self._tasks.pop(key).result()) for key in ended]

    async def gather(self, steps: Sequence[Step[K, R]], *, leave: bool) -> list[R | None]:
        """Make requests at once; what came of each, None of those that are left as they are late.

        leave: whether any may be left though no other one has been answered; otherwise the source
        itself may be in trouble. Raises what the first one raises, and ends the others then.
        """
        tasks: list[asyncio.Task[R]] = []
        try:
            for step in steps:
                context = copy_context()
                context.run(company_at_work.set, step.company)
                work = _awaited(step.work)
                tasks.append(asyncio.get_running_loop().create_task(work, context=context))
            rest = {task for task, step in zip(tasks, steps, strict=True) if step.company}
            done, open_ = await asyncio.wait(
                tasks, timeout=LATE if rest else None, return_when=asyncio.FIRST_EXCEPTION
            )
            while open_ and not any(task.exception() for task in done):
                if open_ <= rest and (leave or done):
                    break
                ended, open_ = await asyncio.wait(open_, return_when=asyncio.FIRST_COMPLETED)
                done |= ended
            results = [task.result() if task.done() else None for task in tasks]
            for step, task in zip(steps, tasks, strict=True):
                if not task.done():
                    self._tasks[step.key] = task
            tasks.clear()
            return results
        finally:
            await _end(tasks)

    async def close(self) -> None:
        """End those that are left."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        await _end(tasks)


def unanswered(subject: str) -> PartFailed:
    """What is told of a list whose request is left as it is late."""
    return PartFailed(
        subject,
        f"its list has not been answered for more than {LATE:.0f} s",
        "It is read as soon as it is answered, and the others meanwhile; if this goes on, ask the"
        " platform",
    )


async def _awaited(work: Callable[[], Awaitable[R]]) -> R:
    return await work()


async def _end(tasks: Sequence[asyncio.Task[R]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)
