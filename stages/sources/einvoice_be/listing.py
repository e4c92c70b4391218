"""Listing: one walk over the lists of all companies, several of them at once."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import anyio.to_thread
from msgspec import Struct

from pipeline.errors import RetryableError, SourceError, SourceUnreachable
from pipeline.retry import RetryPolicy
from pipeline.source import Entry, UnreadableItems
from stages.settings import Company, Config
from stages.sources.einvoice_be.answers import read_item, read_page
from stages.sources.einvoice_be.api import Item, Page
from stages.sources.einvoice_be.documents import Box, entry_of, is_unsent
from stages.sources.einvoice_be.lanes import Lane
from stages.sources.einvoice_be.marks import Mark
from stages.sources.einvoice_be.settings import EInvoiceBe
from stages.sources.einvoice_be.walk import NoSuchPage, Rules, TooLarge, Walk, WrongPage
from stages.sources.http.keyed import Failure, Matched, failure_of, mismatches
from stages.sources.http.left_out import LeftOut
from stages.sources.http.lenient_json import JSON_ERRORS
from stages.sources.http.stragglers import Step, Stragglers, unanswered

T = TypeVar("T")

#: Bytes of a page of a list, at most: it holds whole invoices as JSON.
MAX_PAGE_BYTES = 8_000_000
#: Bytes of a page that is decoded in a thread.
LARGE = 100_000
#: Lists that are read at once.
LISTS_AT_ONCE = 8


class NotAList(SourceError):
    """An answer that is no page of a list."""

    reason = "the answer is no list of documents"
    remedy = "Check url of the source"


class Reading(Struct, frozen=True):
    """One list that is being read."""

    company: Company
    lane: Lane
    box: Box
    walk: Walk

    @property
    def name(self) -> str:
        """Names the list among all lists."""
        return list_name(self.company, self.box)


#: A list, and a page of its items or why there is none.
Answered = tuple[Reading, Sequence[Item | str] | Failure]


class Listing:
    """One walk over all lists. marks: of the lists, which change as their ends are reached.

    late: requests of earlier walks that have not been answered.

    What keeps one company's lists from being read does not stop those of the others: it is raised
    in the end. What concerns the platform itself ends the walk at once.
    """

    def __init__(
        self,
        settings: EInvoiceBe,
        config: Config,
        matched: Matched[Lane],
        marks: Mapping[str, Mark],
        retries: RetryPolicy,
        late: Stragglers[str, Answered],
    ) -> None:
        self._late = late
        self._settings = settings
        self._config = config
        self._retries = retries
        self._companies = matched
        boxes = [box for box in Box if getattr(settings, box.value)]
        self.marks = {
            list_name(company, box): marks.get(list_name(company, box), Mark())
            for company, _ in matched.lanes
            for box in boxes
        }
        self._all = [(company, lane, box) for company, lane in matched.lanes for box in boxes]
        self._waiting = deque(self._all)
        self._rules = Rules(
            settings.page_size,
            timedelta(seconds=settings.overlap),
            timedelta(seconds=settings.full_walk),
            timedelta(seconds=settings.unsent),
            datetime.now(UTC),
        )
        self._left_out = LeftOut()
        self._failures: dict[Lane, Failure] = {}
        self._read = False

    @property
    def unreadable(self) -> Sequence[UnreadableItems]:
        """What had to be left out so far."""
        return self._left_out.lists()

    async def entries(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield the entries, a page at a time."""
        # What was late goes on where it was left.
        found: Sequence[Answered] = [one for _, one in self._late.answered()]
        left = {*self._late.keys, *(reading.name for reading, _ in found)}
        self._waiting = deque(one for one in self._waiting if list_name(one[0], one[2]) not in left)
        active: Sequence[Reading] = ()
        while True:
            for reading, answer in found:
                if isinstance(answer, SourceError | RetryableError):
                    self._failed(reading, answer)
                    continue
                self._read = True
                if page := self._entries(reading, answer):
                    yield page
                if reading.walk.done:
                    self.marks[reading.name] = reading.walk.mark()
            self._check_platform()
            if not (active := self._filled([reading for reading, _ in found])):
                break
            found = await self._read_all(active)
        for company, lane, box in self._all:
            if list_name(company, box) in self._late:
                self._failures.setdefault(lane, unanswered(f"{lane.subject}, {box}"))
        failures = [*self._failures.values(), *mismatches(self._settings.name, self._companies)]
        if failures:
            raise failure_of(failures, len(self._companies.lanes), self._settings.name)

    def _filled(self, active: Sequence[Reading]) -> list[Reading]:
        """The lists that are still being read, and others that are begun in place of the rest."""
        going = [one for one in active if not one.walk.done and one.lane not in self._failures]
        while self._waiting and len(going) < LISTS_AT_ONCE:
            company, lane, box = self._waiting.popleft()
            if lane not in self._failures:
                going.append(self._begin(company, lane, box))
        return going

    def _failed(self, reading: Reading, failure: Failure) -> None:
        """Give up the lists of a company; what bars the way to the platform is raised."""
        if isinstance(failure, SourceUnreachable):
            raise failure
        self._failures.setdefault(reading.lane, failure)

    def _check_platform(self) -> None:
        """Raise what keeps everything from being read, instead of trying each company."""
        failures = list(self._failures.values())
        if failures and not self._read and all(isinstance(e, RetryableError) for e in failures):
            raise failures[0]

    def _begin(self, company: Company, lane: Lane, box: Box) -> Reading:
        subject = f"{lane.subject}, {box}"
        ask = partial(self._retrying, lane, box, subject)
        mark = self.marks[list_name(company, box)]
        return Reading(company, lane, box, Walk(subject, mark, self._rules, ask, read_items))

    async def _read_all(self, active: Sequence[Reading]) -> Sequence[Answered]:
        """Read a page of each list: those that have been answered."""

        async def read(reading: Reading) -> Answered:
            try:
                return reading, await reading.walk.next()
            except (SourceError, RetryableError) as error:
                return reading, error

        has_others = len(self._companies.lanes) > 1
        steps = [
            Step(one.name, one.company.identifier if has_others else "", partial(read, one))
            for one in active
        ]
        answers = await self._late.gather(steps, leave=self._read or bool(self._waiting))
        return [one for one in answers if one is not None]

    def _entries(self, reading: Reading, items: Sequence[Item | str]) -> Sequence[Entry]:
        self._left_out.add(f"{reading.box} of {reading.lane.key.label}", items)
        entries = []
        for item in items:
            if isinstance(item, str):
                continue
            if is_unsent(item, reading.box):
                reading.walk.hold(item)
                continue
            entries.append(entry_of(item, reading.box, reading.company, self._config))
        return entries

    async def _retrying(self, lane: Lane, box: Box, subject: str, number: int, size: int) -> Page:
        """A page of a list; temporary failures are retried."""
        ask = partial(self._page, lane, box, subject, number, size)
        return await self._retries.run(ask, NotAList, WrongPage)

    async def _page(self, lane: Lane, box: Box, subject: str, number: int, size: int) -> Page:
        query = {
            "page": str(number),
            "page_size": str(size),
            "sort_by": "created_at",
            "sort_order": "asc",
        }
        body = await lane.get(
            f"/api/{box}/",
            subject,
            query=query,
            limit=MAX_PAGE_BYTES,
            too_long=TooLarge,
            missing=NoSuchPage,
        )
        try:
            page = await _decoded(partial(read_page, body), len(body))
        except JSON_ERRORS:
            page = None
        del body  # the traceback of an error must not keep it
        if page is None:
            raise NotAList(subject)
        if page.page not in (None, number):
            raise WrongPage(subject)
        return page


def list_name(company: Company, box: Box) -> str:
    """Names a list among all lists."""
    return f"{company.identifier}/{box}"


async def read_items(page: Page) -> Sequence[Item | str]:
    """Decode the items of a page: each item, or why it can't be read."""
    size = sum(len(memoryview(raw)) for raw in page.items)
    return await _decoded(lambda: [read_item(raw) for raw in page.items], size)


async def _decoded(decode: Callable[[], T], size: int) -> T:
    if size < LARGE:
        return decode()
    return await anyio.to_thread.run_sync(decode)
