"""Walk: reads the lists of many accounts, several at once; one that fails stops no other."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Generic, TypeVar

import anyio
from msgspec import Struct

from pipeline.errors import RetryableError, SourceUnreachable, SynqupError
from stages.sources.http.inbox.item import Page
from stages.sources.http.keyed import Failure

L = TypeVar("L")

#: Lists that are read at once.
AT_ONCE = 8


class Reading(Struct, Generic[L]):
    """A list that is read. answer: its latest page, or its failure; None at the end."""

    lane: L
    pages: AsyncGenerator[Page, None]
    answer: Page | Failure | None = None


async def walk(
    lists: Sequence[tuple[L, AsyncGenerator[Page, None]]], failures: list[Failure]
) -> AsyncGenerator[tuple[L, Page], None]:
    """Yield the pages of all lists, each with what it is of.

    What keeps a list from being read is added to `failures`. What bars the way to the platform is
    raised, and also a failure that passes where nothing can be read at all.
    """
    waiting = deque(Reading(lane, pages) for lane, pages in lists)
    active: list[Reading[L]] = []
    any_read = False
    try:
        while waiting or active:
            while waiting and len(active) < AT_ONCE:
                active.append(waiting.popleft())
            async with anyio.create_task_group() as group:
                for one in active:
                    group.start_soon(_step, one)
            found, active = active, [one for one in active if isinstance(one.answer, Page)]
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
            if failures and not any_read and all(isinstance(e, RetryableError) for e in failures):
                raise failures[0]
    finally:
        for one in (*active, *waiting):
            await one.pages.aclose()


async def _step(reading: Reading[L]) -> None:
    try:
        reading.answer = await anext(reading.pages, None)
    except SynqupError as error:
        reading.answer = error  # type: ignore[assignment]
