"""Pagination: reads lists that come in pages and shift while they are read.

Acknowledged documents leave a list, and those behind them move forward. Therefore a list is read
from its end, and its first page, which has to be read first for its total, is yielded last: what
leaves the list then has been read already. Documents that arrive meanwhile may still hide another
one, so the caller reads the lists again until nothing new is found.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Sequence,
)
from typing import Generic, TypeVar

import anyio
import structlog

from pipeline.errors import RetryableError, SignInRefused, SourceError, SynqupError
from stages.sources.billtobox.api import Page
from stages.sources.http.keyed import Failure

log = structlog.get_logger(__name__)

ListT = TypeVar("ListT")

#: Pages that are requested at once to begin with: as long as nobody knows how large they are.
FIRST_PAGES = 8
#: Lists that are begun ahead of their turn, at most; the first page of each is held back meanwhile.
MAX_LISTS_AHEAD = 100
#: Bytes of pages that are requested at once, estimated by the pages before; and bytes of pages that
#: are held back, above which no further list is begun. A usual page has some ten thousand bytes.
MAX_BYTES = 32_000_000
#: Pages that are read in one pass; further ones are left to a later pass, if they exist at all.
MAX_PAGES = 100_000

#: Requests a page of a list, counted from zero.
FetchPage = Callable[[ListT, int], Awaitable[Page]]


class Pagination(Generic[ListT]):
    """One pass over all lists of an account.

    The first pages of all lists are requested before any further pages, so that the total is
    known early. size: documents of a full page, unless the page itself states another number.
    connections: pages that are requested at once, at most. at_once: to begin with; FIRST_PAGES, or
    what the pass before has ended with. failures: the lists that can't be read, with their errors.

    owner: whose a list is. late: the owners of lists that could not be had for now, in this pass or
    the one before: whatever else is theirs is asked for when all other lists have been read.
    """

    def __init__(
        self,
        lists: Iterable[ListT],
        fetch_page: FetchPage[ListT],
        size: int,
        connections: int = FIRST_PAGES,
        at_once: int = FIRST_PAGES,
        owner: Callable[[ListT], Hashable] = lambda list_: list_,
        late: Iterable[Hashable] = (),
    ) -> None:
        self._cursors = [ListCursor(one, size) for one in lists]
        self._owner = owner
        self.late = set(late)
        self._unanswered = len(self._cursors)
        self._fetch_page = fetch_page
        self._totals: list[int | None] = []
        self.failures: list[tuple[ListT, Failure]] = []
        self._connections = connections
        self.at_once = min(at_once, connections)
        self._pages_read = 0

    @property
    def total(self) -> int | None:
        """Documents of all readable lists; None until, and unless, each has stated its total."""
        stated = [count for count in self._totals if count is not None]
        if self._unanswered or not stated or len(stated) < len(self._totals):
            return None
        return sum(stated)

    async def pages(self) -> AsyncGenerator[tuple[ListT, Page], None]:
        """Yield every page, with its list. A list that can't be read does not stop the others.

        Raises an error of the whole source at once. One that is of a list is among the failures,
        unless nothing at all can be read: then the source is at fault, and no list.
        """
        while self._cursors:
            asked = list(self._next_requests())
            answers = await self._request_all(asked)
            begun = [
                answer for (_, number), answer in zip(asked, answers, strict=True) if not number
            ]
            self._unanswered -= len(begun)
            self._totals += [answer.total for answer in begun if isinstance(answer, Page)]
            self._adapt_concurrency(answers)
            for (cursor, number), answer in zip(asked, answers, strict=True):
                if isinstance(answer, Page):
                    for page in cursor.accept(number, answer):
                        yield cursor.list, page
                else:
                    self.failures.append((cursor.list, answer))
                    if isinstance(answer, RetryableError):
                        self.late.add(self._owner(cursor.list))
                    for page in cursor.abandon():
                        yield cursor.list, page
            self._cursors = [one for one in self._cursors if not one.done]
            if self.failures and not self._totals:
                raise self.failures[0][1]
            if _is_down(answers):
                raise self.failures[-1][1]
            if self._pages_read >= MAX_PAGES:
                log.warning(
                    "the lists have too many pages and are left there", pages=self._pages_read
                )
                break

    def _adapt_concurrency(self, answers: Sequence[Page | Failure]) -> None:
        """Request twice as many pages at once if there are so many, but fewer of large ones."""
        self._pages_read += len(answers)
        largest = max(
            (answer.size_in_bytes for answer in answers if isinstance(answer, Page)), default=0
        )
        if len(answers) == self.at_once:
            self.at_once = min(2 * self.at_once, self._connections)
        self.at_once = max(min(MAX_BYTES // max(largest, 1), self.at_once), 1)

    def _next_requests(self) -> Iterator[tuple[ListCursor[ListT], int]]:
        free = self.at_once
        begun = [one for one in self._cursors if one.begun]
        fresh = [one for one in self._cursors if not one.begun and not self._is_late(one)]
        if not fresh and not begun:
            fresh = self._cursors
        ahead = max(MAX_LISTS_AHEAD - len(begun), 0)
        if sum(one.held_back_bytes for one in begun) > MAX_BYTES:
            ahead = 0
        for cursor in [*fresh[:ahead], *begun]:
            while free and (number := cursor.next()) is not None:
                yield cursor, number
                free -= 1
            if not free:
                return

    def _is_late(self, cursor: ListCursor[ListT]) -> bool:
        return bool(self.late) and self._owner(cursor.list) in self.late

    async def _request_all(
        self, asked: Sequence[tuple[ListCursor[ListT], int]]
    ) -> Sequence[Page | Failure]:
        answers: list[Page | Failure] = [Page([])] * len(asked)
        fatal: list[SynqupError] = []

        async def ask(place: int, cursor: ListCursor[ListT], number: int) -> None:
            try:
                answers[place] = await self._fetch_page(cursor.list, number)
            except (SourceError, RetryableError) as error:
                if _concerns_all(error):
                    fatal.append(error)
                    group.cancel_scope.cancel()
                answers[place] = error
            except SynqupError as error:
                fatal.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for place, (cursor, number) in enumerate(asked):
                group.start_soon(ask, place, cursor, number)
        if fatal:
            raise fatal[0]
        return answers


class ListCursor(Generic[ListT]):
    """List cursor: the position in one list; which pages are to be requested, in which order.

    The total only decides where to begin. The list ends where a page is empty, where it repeats
    another one, or where it is not full and, by the total, the last one.
    """

    def __init__(self, list_: ListT, size: int) -> None:
        self.list = list_
        self.begun = False
        self.done = False
        self._size = size
        self._first: Page | None = None
        self._to_request = range(1)
        self._outstanding = 0
        #: The last page that is known to be worth requesting, and whether the list ends there.
        self._last = 0
        self._ends_here = False
        self._trusts_total = True
        self._fingerprints: set[int] = set()

    @property
    def held_back_bytes(self) -> int:
        """Bytes of the page that is held back."""
        return self._first.size_in_bytes if self._first is not None else 0

    def next(self) -> int | None:
        """The number of the next page to be requested; None if there is none at the moment."""
        if self.done or not self._to_request:
            return None
        self.begun = True
        self._outstanding += 1
        number, self._to_request = self._to_request[0], self._to_request[1:]
        return number

    def accept(self, number: int, page: Page) -> Iterator[Page]:
        """Accept an answer; yields the pages that may be handed over now."""
        self._outstanding -= 1
        if number == 0:
            # A copy, as an item is a view that keeps the whole answer in memory.
            self._first = Page([raw.copy() for raw in page.results], page.total, page.size)
            self._begin(page)
        elif page.results:
            yield page
        if self._repeats(page):
            # Perhaps the server ignores page numbers; if not, the next pass reads the rest.
            log.warning("a list repeats a page and is left there", list=str(self.list), page=number)
            self.done = True
        if number == self._last and not self._starts_over(number, page):
            self._ends_here = not page.results or self._is_last(number, page)
        if not self._outstanding and not self._to_request:
            if self._ends_here:
                self.done = True
            else:
                self._request_next()
            yield from self._show_held_back()
        elif self.done:
            yield from self._show_held_back()

    def abandon(self) -> Iterator[Page]:
        """End the list; yields the page that has been held back."""
        self._outstanding -= 1
        self.done = True
        yield from self._show_held_back()

    def _begin(self, page: Page) -> None:
        if page.size and page.size < self._size:
            self._size = page.size
        self._last = max(-(-(page.total or 0) // self._size) - 1, 0)
        self._to_request = range(self._last, 0, -1)

    def _request_next(self) -> None:
        self._last += 1
        self._to_request = range(self._last, self._last + 1)

    def _starts_over(self, number: int, page: Page) -> bool:
        """Whether the pages contradict the total; the list is read forward from page 1 then."""
        claimed = (page.total or 0) > number * self._size
        if page.results or number < 2 or not claimed or not self._trusts_total:
            return False
        self._trusts_total = False
        self._last, self._to_request = 1, range(1, 2)
        return True

    def _is_last(self, number: int, page: Page) -> bool:
        count = len(page.results)
        if count >= self._size or page.total is None:
            return False
        return page.total <= number * self._size + count

    def _repeats(self, page: Page) -> bool:
        fingerprint = hash(tuple(hash(bytes(raw)) for raw in page.results))
        if page.results and fingerprint in self._fingerprints:
            return True
        self._fingerprints.add(fingerprint)
        return False

    def _show_held_back(self) -> Iterator[Page]:
        if self._first is not None and self._first.results:
            yield self._first
        self._first = None


def _concerns_all(error: Failure) -> bool:
    """Whether an error is none of one list alone: it is about the sign-in, or asks for a rest."""
    if isinstance(error, RetryableError):
        return error.retry_after is not None
    return isinstance(error, SignInRefused)


def _is_down(answers: Sequence[Page | Failure]) -> bool:
    """Whether nothing of many pages could be had for now: it is not the trouble of one company."""
    return len(answers) >= FIRST_PAGES and all(isinstance(one, RetryableError) for one in answers)
