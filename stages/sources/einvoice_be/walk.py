"""Walk over one list: reads it forward, oldest first, from its high-water mark or from its start.

New documents land at the end, and nothing leaves, so what has been read stays where it was; only
drafts may be removed from before it. A walk therefore begins at a page whose first document lies
before the overlap, whatever became of the page's number, and goes back until it finds one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from pipeline.errors import SourceError
from stages.sources.einvoice_be.api import Item, Page
from stages.sources.einvoice_be.marks import Mark, moment

#: Pages of a list that are read in one walk, at most.
MAX_PAGES = 100_000
#: Documents in a row that are left out as their list items are too large, at most.
MAX_TOO_LARGE = 100


class TooLarge(SourceError):
    """A page of more bytes than are taken."""

    reason = "a page of its list is too large"
    remedy = "Tell the platform"


class NoSuchPage(SourceError):
    """A page that the platform says it does not have."""

    reason = "there is no such list, or no such page of it"
    remedy = "Check url of the source"


class WrongPage(SourceError):
    """A page that is not the one which was asked for."""

    reason = "the answer is another page of the list than the one that was asked for"
    remedy = "Tell the platform"


class Rules(Struct, frozen=True):
    """How a list is walked: the settings of the same names. now: of the walk."""

    page_size: int
    overlap: timedelta
    full_walk: timedelta
    unsent: timedelta
    now: datetime


#: Fetches a page: its number from 1, and how many documents a page has. Raises TooLarge,
#: NoSuchPage, WrongPage.
FetchPage = Callable[[int, int], Awaitable[Page]]
#: Decodes the items of a page: each item, or why it can't be read.
ReadItems = Callable[[Page], Awaitable[Sequence[Item | str]]]


class Walk:
    """One walk over one list. subject: names it in errors. done: whether its end was reached."""

    def __init__(
        self, subject: str, mark: Mark, rules: Rules, fetch_page: FetchPage, read_items: ReadItems
    ) -> None:
        self.done = False
        self._subject = subject
        self._rules = rules
        self._fetch_page = fetch_page
        self._read_items = read_items
        self._size = self._full_size = rules.page_size
        age = rules.now.timestamp() - mark.full
        full = mark.moment is None or not 0 <= age < rules.full_walk.total_seconds()
        #: Documents up to this moment were read before; None to read all.
        self._since = None if full or mark.moment is None else mark.moment - rules.overlap
        self._full_at = rules.now.timestamp() if full else mark.full
        #: Documents before the page that is read next.
        self._place = 0 if full else mark.place - mark.place % self._size
        self._seeks = self._place > 0
        self._step = 1
        self._latest: datetime | None = None
        self._held: datetime | None = None
        self._ordered = True
        #: Where pages begin: the moments of their first documents, and their places.
        self._moments: list[datetime] = []
        self._places: list[int] = []
        self._last_page: tuple[str, ...] = ()
        self._pages = self._too_large = 0

    async def next(self) -> Sequence[Item | str]:
        """Read one page: its items, or why they can't be read; nothing where it seeks its start."""
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise SourceError(self._subject, f"its list has more than {MAX_PAGES:,} pages")
        number = self._place // self._size + 1
        try:
            page = await self._fetch_page(number, self._size)
        except TooLarge as error:
            return self._smaller(error)
        except NoSuchPage:
            if number == 1:
                raise
            page = Page([], has_next_page=False)
        except WrongPage:
            if not self._seeks:
                raise
            page = Page([], has_next_page=False)
        items = await self._read_items(page)
        if self._seeks and not self._is_early_enough(items):
            self._place = max(self._place - self._step * self._size, 0)
            self._place -= self._place % self._size
            self._step *= 2
            self._seeks = self._place > 0
            return ()
        self._seeks = False
        self._note(page, items, (number - 1) * (page.page_size or self._size))
        self._advance(page, number, len(items))
        return items

    def mark(self) -> Mark:
        """The mark of a walk that is done."""
        if self._latest is None or not self._ordered:
            return Mark(full=self._full_at)
        # Documents of the future would hide what comes until then.
        latest = min(self._latest, self._rules.now, self._held or self._latest)
        # The last page that begins before what will be read again.
        at = bisect_right(self._moments, latest - self._rules.overlap) - 1
        place = self._places[max(at, 0)] if self._places else 0
        return Mark(latest.isoformat(), place, self._full_at)

    def hold(self, item: Item) -> None:
        """Have later walks come back to a document that is not to be fetched yet."""
        self._hold(moment(item.created_at) or self._latest)

    def _hold(self, at: datetime | None) -> None:
        if at is not None and self._rules.now - at < self._rules.unsent:
            self._held = min(at, self._held or at)

    def _is_early_enough(self, items: Sequence[Item | str]) -> bool:
        first = next((at for at in map(_moment, items) if at is not None), None)
        return first is not None and self._since is not None and first <= self._since

    def _note(self, page: Page, items: Sequence[Item | str], place: int) -> None:
        """Note the moments of a page's documents."""
        known = [at for at in map(_moment, items) if at is not None]
        for at in known:
            if self._latest is not None and at < self._latest - self._rules.overlap:
                self._ordered = False
            self._latest = max(at, self._latest or at)
        if known and (not self._moments or known[0] >= self._moments[-1]):
            self._moments.append(known[0])
            self._places.append(place)
        if any(isinstance(item, str) for item in items):
            self._hold(known[0] if known else self._latest)
        ids = tuple(item if isinstance(item, str) else item.id for item in items)
        if ids and ids == self._last_page and len(ids) >= (page.page_size or self._size):
            raise SourceError(
                self._subject, "its list shows the same page again and again", "Tell the platform"
            )
        self._last_page = ids

    def _advance(self, page: Page, number: int, count: int) -> None:
        """Go to the next page, if there is one."""
        if page.page_size is not None and page.page_size != self._size:
            # Pages of its own size: smaller ones than it was asked for, or always the same.
            self._size = page.page_size
            self._full_size = min(self._full_size, self._size)
        self._too_large = 0
        self._place = number * self._size
        if self._size < self._full_size and self._place % self._full_size == 0:
            self._size = self._full_size
        has_next = page.has_next_page
        if not has_next and page.pages is not None:
            has_next = number < page.pages
        self.done = not count or has_next is False

    def _smaller(self, error: TooLarge) -> Sequence[str]:
        """Ask for half as many documents at once; leave out one that is too large by itself."""
        if self._size > 1:
            self._size //= 2
            return ()
        self._too_large += 1
        if self._too_large > MAX_TOO_LARGE:
            raise error
        self._seeks = False
        self._place += 1
        self._hold(self._latest)
        return ("what its list says of it is too large",)


def _moment(item: Item | str) -> datetime | None:
    return None if isinstance(item, str) else moment(item.created_at)
