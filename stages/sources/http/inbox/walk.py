"""Walk: reads the lists of many accounts, several at once; one that fails stops no other."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from msgspec import Struct

from pipeline.errors import RetryableError, SourceUnreachable, SynqupError
from stages.sources.http.inbox.item import Page
from stages.sources.http.keyed import Failure
from stages.sources.http.stragglers import Step, Stragglers, unanswered

L = TypeVar("L")

#: Lists that are read at once.
AT_ONCE = 8


class Reading(Struct, Generic[L]):
    """A list that is read. answer: its latest page, or its failure; None at the end."""

    lane: L
    pages: AsyncGenerator[Page, None]
    answer: Page | Failure | None = None


class Walk(Generic[L]):
    """How the lists of one source are read.

    company_of: whose a list is, where there are several companies; else "". subject_of: names it in
    errors. A list whose request is late is left out of the walk, until it is answered.
    """

    def __init__(self, company_of: Callable[[L], str], subject_of: Callable[[L], str]) -> None:
        self._company_of = company_of
        self._subject_of = subject_of
        self._late: Stragglers[L, Reading[L]] = Stragglers()

    async def pages(
        self, lists: Sequence[tuple[L, AsyncGenerator[Page, None]]], failures: list[Failure]
    ) -> AsyncGenerator[tuple[L, Page], None]:
        """Yield the pages of all lists, each with what it is of.

        What keeps a list from being read is added to `failures`. What bars the way to the platform
        is raised, and also a failure that passes where nothing can be read at all.
        """
        found = [reading for _, reading in self._late.answered()]
        known = {one.lane for one in found} | set(self._late.keys)
        waiting = deque(Reading(lane, pages) for lane, pages in lists if lane not in known)
        active: list[Reading[L]] = []
        any_read = False
        try:
            while True:
                active = [one for one in found if isinstance(one.answer, Page)]
                for one in found:
                    if isinstance(one.answer, Page):
                        any_read = True
                        yield one.lane, one.answer
                    elif isinstance(one.answer, SourceUnreachable):
                        raise one.answer
                    elif one.answer is not None:
                        failures.append(one.answer)
                    else:
                        any_read = True
                passing = all(isinstance(e, RetryableError) for e in failures)
                if failures and not any_read and passing:
                    raise failures[0]
                while waiting and len(active) < AT_ONCE:
                    active.append(waiting.popleft())
                if not active:
                    break
                found = await self._read(active, leave=any_read or bool(waiting))
                active = [one for one in active if one.lane not in self._late]
            failures += [unanswered(self._subject_of(one)) for one in self._late.keys]
        finally:
            for one in (*active, *waiting):
                await one.pages.aclose()

    async def close(self) -> None:
        """End the requests that are late."""
        await self._late.close()

    async def _read(self, active: Sequence[Reading[L]], *, leave: bool) -> list[Reading[L]]:
        """Read a page of each list; those that have been answered."""
        steps = [Step(one.lane, self._company_of(one.lane), partial(_step, one)) for one in active]
        answers = await self._late.gather(steps, leave=leave)
        return [one for one in answers if one is not None]


async def _step(reading: Reading[L]) -> Reading[L]:
    try:
        reading.answer = await anext(reading.pages, None)
    except SynqupError as error:
        reading.answer = error  # type: ignore[assignment]
    return reading
