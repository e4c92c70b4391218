"""One walk over lists that come in pages and shift while they are read.

Documents that are acknowledged leave a list, and those behind them move forward. So a list is
read from its end, and its first page, which has to be read first for its total, is shown last:
what leaves then lies behind us. What arrives meanwhile may still hide a document, which is why
whoever walks walks again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import anyio
import structlog

from pipeline.errors import SignInRefused, SourceError, SynqupError
from stages.sources.billtobox.api import Page

log = structlog.get_logger(__name__)

List = TypeVar("List")

#: Pages that are asked for at once.
AT_ONCE = 16
#: Lists that are begun ahead of their turn, at most: of each a page is held back meanwhile.
AHEAD = 100
#: Bytes of pages that are asked for at once, as far as the pages before tell; and bytes of pages
#: that are held back, above which no further list is begun. Pages have some ten thousand bytes.
WEIGHT = 32_000_000
#: Pages that a walk reads. What lies behind them is found by a later walk, if it exists at all.
PAGES = 100_000

#: Asks for a page of a list, counted from zero.
Ask = Callable[[List, int], Awaitable[Page]]


class Walk(Generic[List]):
    """One walk over all lists of an account; `total` is what they state.

    Lists are begun before any is gone on with, for whoever waits wants to know the total early.
    size: documents that a page has, unless it says otherwise itself.
    """

    def __init__(self, lists: Iterable[List], ask: Ask[List], size: int) -> None:
        self._open = [Progress(one, size) for one in lists]
        self._silent = len(self._open)
        self._ask = ask
        self._stated: list[int | None] = []
        self._failure: SourceError | None = None
        self._room = AT_ONCE
        self._read = 0

    @property
    def total(self) -> int | None:
        """Documents of all lists that can be read; None until each has said, or if one does not."""
        stated = [count for count in self._stated if count is not None]
        if self._silent or not stated or len(stated) < len(self._stated):
            return None
        return sum(stated)

    async def pages(self) -> AsyncGenerator[tuple[List, Page], None]:
        """Every page, with its list. A list that can't be read does not stop the others.

        Raises at once what concerns the whole source, and a list's SourceError at the end.
        """
        while self._open:
            asked = list(self._next())
            answers = await self._all(asked)
            begun = [
                answer for (_, number), answer in zip(asked, answers, strict=True) if not number
            ]
            self._silent -= len(begun)
            self._stated += [answer.total for answer in begun if isinstance(answer, Page)]
            self._measure(answers)
            for (progress, number), answer in zip(asked, answers, strict=True):
                if isinstance(answer, Page):
                    for page in progress.take(number, answer):
                        yield progress.list, page
                else:
                    self._failure = self._failure or answer
                    for page in progress.give_up():
                        yield progress.list, page
            self._open = [one for one in self._open if not one.done]
            if self._failure is not None and not self._stated:
                # Not one of several could be read: it is not the list that is at fault.
                break
            if self._read >= PAGES:
                log.warning("the lists have too many pages and are left there", pages=self._read)
                break
        if self._failure is not None:
            raise self._failure

    def _measure(self, answers: Sequence[Page | SourceError]) -> None:
        """Ask for fewer pages at once where they are large."""
        self._read += len(answers)
        heaviest = max((answer.weight for answer in answers if isinstance(answer, Page)), default=0)
        self._room = max(min(WEIGHT // max(heaviest, 1), AT_ONCE), 1)

    def _next(self) -> Iterator[tuple[Progress[List], int]]:
        room = self._room
        begun = [one for one in self._open if one.begun]
        fresh = [one for one in self._open if not one.begun]
        ahead = max(AHEAD - len(begun), 0)
        if sum(one.held for one in begun) > WEIGHT:
            ahead = 0
        for progress in [*fresh[:ahead], *begun]:
            while room and (number := progress.next()) is not None:
                yield progress, number
                room -= 1
            if not room:
                return

    async def _all(
        self, asked: Sequence[tuple[Progress[List], int]]
    ) -> Sequence[Page | SourceError]:
        answers: list[Page | SourceError] = [Page([])] * len(asked)
        fatal: list[SynqupError] = []

        async def ask(place: int, progress: Progress[List], number: int) -> None:
            try:
                answers[place] = await self._ask(progress.list, number)
            except SynqupError as error:
                if isinstance(error, SourceError) and not isinstance(error, SignInRefused):
                    answers[place] = error
                else:
                    fatal.append(error)
                    group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for place, (progress, number) in enumerate(asked):
                group.start_soon(ask, place, progress, number)
        if fatal:
            raise fatal[0]
        return answers


class Progress(Generic[List]):
    """How far the walk over one list is: which pages are to be asked for, and in which order.

    The total says where to begin and nothing else: the list ends where a page is empty, repeats
    another one, or is neither full nor, by the total, followed by others.
    """

    def __init__(self, list_: List, size: int) -> None:
        self.list = list_
        self.begun = False
        self.done = False
        self._size = size
        self._first: Page | None = None
        self._todo = range(1)
        self._asked = 0
        #: The last page that is known to be worth asking for, and whether the list ends there.
        self._last = 0
        self._complete = False
        self._trusting = True
        self._seen: set[int] = set()

    @property
    def held(self) -> int:
        """Bytes of the page that is held back."""
        return self._first.weight if self._first is not None else 0

    def next(self) -> int | None:
        """The page to be asked for, if there is one that may be asked for now."""
        if self.done or not self._todo:
            return None
        self.begun = True
        self._asked += 1
        number, self._todo = self._todo[0], self._todo[1:]
        return number

    def take(self, number: int, page: Page) -> Iterator[Page]:
        """Take an answer; yields the pages that may be shown now."""
        self._asked -= 1
        if number == 0:
            # A copy, for an item is a view of all that came with it.
            self._first = Page([raw.copy() for raw in page.results], page.total, page.size)
            self._begin(page)
        elif page.results:
            yield page
        if self._repeats(page):
            # It may be that every page is this one; the next walk tells.
            log.warning("a list repeats a page and is left there", list=str(self.list), page=number)
            self.done = True
        if number == self._last and not self._starts_over(number, page):
            self._complete = not page.results or self._is_last(number, page)
        if not self._asked and not self._todo:
            if self._complete:
                self.done = True
            else:
                self._go_on()
            yield from self._held_back()
        elif self.done:
            yield from self._held_back()

    def give_up(self) -> Iterator[Page]:
        """End here; yields what has been held back."""
        self._asked -= 1
        self.done = True
        yield from self._held_back()

    def _begin(self, page: Page) -> None:
        if page.size and page.size < self._size:
            self._size = page.size
        self._last = max(-(-(page.total or 0) // self._size) - 1, 0)
        self._todo = range(self._last, 0, -1)

    def _go_on(self) -> None:
        self._last += 1
        self._todo = range(self._last, self._last + 1)

    def _starts_over(self, number: int, page: Page) -> bool:
        """Whether the total is one that the pages don't bear out; then read forward."""
        claimed = (page.total or 0) > number * self._size
        if page.results or number < 2 or not claimed or not self._trusting:
            return False
        self._trusting = False
        self._last, self._todo = 1, range(1, 2)
        return True

    def _is_last(self, number: int, page: Page) -> bool:
        count = len(page.results)
        if count >= self._size or page.total is None:
            return False
        return page.total <= number * self._size + count

    def _repeats(self, page: Page) -> bool:
        fingerprint = hash(tuple(hash(bytes(raw)) for raw in page.results))
        if page.results and fingerprint in self._seen:
            return True
        self._seen.add(fingerprint)
        return False

    def _held_back(self) -> Iterator[Page]:
        if self._first is not None and self._first.results:
            yield self._first
        self._first = None
