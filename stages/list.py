"""Stage 1, list: reads a source's list until nothing new is left, and starts the documents."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import aclosing

import anyio
import structlog
from msgspec import Struct, structs

from pipeline.dispatcher import Dispatcher, PendingAck
from pipeline.document import Ack, Document, Key
from pipeline.errors import PartFailed, SourceError, SynqupError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import ACKED, Known, State
from pipeline.ledger.whole import WholeSource
from pipeline.part import Begun, Part
from pipeline.source import Entry, Source
from pipeline.text import enumerated
from stages.ack_order import AckOrder, Blocked
from stages.gone import Absent
from stages.model import Listed
from stages.reading import Reading
from stages.revisions import next_revision, superseded
from stages.settings import Config, members
from stages.unreadable import Unreadable

log = structlog.get_logger(__name__)

#: Entries whose acknowledgement depends on the order of the list that are gathered, at most, before
#: the walk waits for them.
GATHERED = 5000


class PassResult(Struct, frozen=True):
    """The result of one pass over the list.

    started, shown: numbers of documents. failure: why the pass is incomplete. fatal: whether
    another pass would fail as well.
    """

    started: int
    shown: int
    failure: SynqupError | None
    fatal: bool


class Comparison(Struct, frozen=True):
    """A page of the list compared with the ledger.

    fresh: entries to be started. forgotten: documents that were acknowledged, seem to have been
    forgotten by the source, and are unchanged by their revision. superseded: rows that entries in
    `fresh` replace.
    """

    fresh: list[Entry]
    forgotten: list[PendingAck]
    superseded: list[Key]


class Lister:
    """One poll of one source, under the configuration in force when it begins.

    page_read: called for each page that has arrived. part: of the source; by default all of it.
    more: whether it has ended with documents that were listed and not started.
    """

    def __init__(
        self,
        source: Source,
        config: Config,
        ledger: Ledger,
        dispatcher: Dispatcher,
        page_read: Callable[[], None] = lambda: None,
        part: Part | None = None,
    ) -> None:
        self.more = False
        self._source = source
        self._part = part or WholeSource(ledger, source.name)
        self._config = config
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._page_read = page_read
        # A lookup without a poll comes after every poll so far.
        self._number: float = math.inf
        #: When its first document was started.
        self._began_at: float | None = None
        self._unreadable = Unreadable(source)
        self._traits = source.traits
        self._order = AckOrder(source)
        self._blocked: dict[str, Blocked] = {}
        self._cursor = ""
        self._absent = Absent(source, ledger, self._number, self._number)
        #: Documents of the latest walk that have not come to their end; and, by lane, those that
        #: keep their place in the list, as an acknowledgement has not been taken either.
        self._open = 0
        self._staying: Counter[str] = Counter()

    async def poll(self) -> int:
        """Start every pending document of the source; return when all have been processed.

        Returns how many listed documents had to be left out because they can't be read.

        The list shifts while documents are acknowledged and new ones arrive, so one pass may
        miss some: passes are repeated until one that began with nothing in flight finds nothing
        new. Raises what makes the source unusable: SourceUnavailable, SourceUnreachable,
        SignInRefused; or any other SourceError, after the readable parts of the list have been
        processed.
        """
        several = len(self._companies()) > 1
        self._dispatcher.reset_breaker(self._source.name, several=several)
        begun = await self._part.begin()
        self._number, self._cursor = begun.number, begun.cursor
        self._absent = Absent(self._source, self._ledger, begun.number, begun.before)
        if not self._traits.in_order:
            await self._acknowledge_again(begun)
        result = await self._walk()
        if not self.more:
            await self._conclude(result)
        return self._unreadable.items

    async def _walk(self) -> PassResult:
        """Make one pass after the other over the list; the result of the last one."""
        name = self._source.name
        while True:
            quiet = not self._dispatcher.in_flight_count(name)
            result = await self._pass()
            if result.failure is not None and result.fatal:
                raise result.failure
            await self._acknowledge_in_order()
            if not result.started and quiet:
                return result
            backlog = self._source.backlog()
            if self._traits.pause or self.more:
                # The source bears one walk in so many seconds, or others wait for their turn: the
                # next poll sees what is new.
                await self._dispatcher.drained(name)
                return result
            if not result.started or (backlog is not None and result.shown >= backlog):
                # The rest of the list, if any, is found most surely once these have left it.
                await self._dispatcher.drained(name)

    async def _conclude(self, result: PassResult) -> None:
        """Record what a poll has found that has got to the end of the list."""
        await self._part.left_out(self._unreadable.items)
        self._unreadable.tell()
        # Also where a part of the list failed, of which the cursor says nothing new then: one
        # company's trouble must not have the lists of the others read from further and further off.
        if not self._open and not result.started and self._source.cursor != self._cursor:
            await self._part.keep_cursor(self._source.cursor)
        failure = result.failure or self._not_served()
        if failure is not None:
            raise failure
        if not self._unreadable.items:
            await self._absent.note(
                self._config,
                self._companies,
                self._cursor,
                self._dispatcher,
                is_whole=self._part.companies is None,
            )
        self._check_progress()
        await self._part.complete(time.time())

    @property
    def unreadable(self) -> int:
        """How many listed documents had to be left out because they can't be read."""
        return self._unreadable.items

    async def waiting(self) -> list[Entry]:
        """The documents that a poll would start; nothing is started."""
        entries = {}
        async with aclosing(self._source.list(self._config)) as pages:
            async for page in pages:
                comparison = await self._compare(page)
                entries.update({entry.id: entry for entry in comparison.fresh})
        return list(entries.values())

    def _companies(self) -> Collection[str]:
        if self._part.companies is not None:
            return self._part.companies
        return self._members()

    def _members(self) -> set[str]:
        return {one.company.identifier for one in members(self._config, self._source.name)}

    async def _acknowledge_again(self, begun: Begun) -> None:
        """Acknowledge what an earlier poll could not, but for the companies of other parts."""
        last: tuple[Key, Known] | None = None
        mine = self._part.companies
        others = self._members().difference(mine) if mine is not None else set[str]()
        while True:
            # Documents in flight are acknowledged on their own, perhaps before the ledger answers.
            in_flight = self._dispatcher.in_flight(self._source.name)
            found = await self._ledger.unacknowledged(self._source.name, last)
            if not found:
                return
            last = found[-1]
            for key, known in found:
                is_ours = known.company not in others and known.poll < begun.settled
                if is_ours and key not in in_flight:
                    await self._dispatcher.acknowledge(await self._pending_ack(key, known))

    async def _acknowledge_in_order(self) -> None:
        """Acknowledge what this walk has listed, as far as its order allows."""
        if not len(self._order):
            return
        name = self._source.name
        await self._dispatcher.drained(name)
        rows = await self._ledger.contents(name, self._order.ids())
        acks, blocked = await self._order.pending(rows, self._dispatcher)
        for one in acks:
            await self._dispatcher.acknowledge(one)
        await self._dispatcher.drained(name)
        self._blocked |= {one.lane: one for one in blocked}
        self._order = AckOrder(self._source)

    def _not_served(self) -> PartFailed | None:
        """The failure of companies of which the source serves no document at the moment."""
        name = self._source.name
        found = self._dispatcher.given_up(name)
        if not found:
            return None
        names = [
            f"{one.company.name} ({one.company.identifier})"
            for one in members(self._config, name)
            if one.company.identifier in found
        ]
        first = next(iter(found.values()))
        reason = f"it serves no document of {enumerated(names)} ({first.reason})"
        return PartFailed(f"source {name}", reason, first.remedy)

    def _check_progress(self) -> None:
        """Raise SourceError where documents that wait keep others from being fetched at all."""
        for one in self._blocked.values():
            where = f" in {one.lane}" if one.lane else ""
            raise SourceError(
                f"source {self._source.name}",
                f"{one.label} keeps all after it{where} from being acknowledged: {one.reason}",
                "Remove the cause; nothing is lost, and what comes after it is delivered",
            )
        window = self._traits.window
        for lane, count in self._staying.items():
            if window is not None and count >= window:
                where = f" of {lane}" if lane else ""
                raise SourceError(
                    f"source {self._source.name}",
                    f"its list{where} shows {window} documents at once, and {count} of them wait:"
                    " newer ones can't be seen",
                    "See `synqup status` for what they wait for; what can't be fetched at all has"
                    " to be settled at the platform",
                )

    async def _pass(self) -> PassResult:
        """Make one pass: start new documents page by page, while further pages are being read."""
        started = shown = self._open = 0
        self._staying.clear()
        self._source.cursor, self._source.only = self._cursor, self._part.companies
        reading = Reading(self._source, self._config, self._page_read)
        async with anyio.create_task_group() as group, aclosing(reading.pages()) as pages:
            group.start_soon(reading.run)
            async for entries in pages:
                if self._traits.in_order:
                    if len(self._order) + len(entries) > GATHERED:
                        await self._acknowledge_in_order()
                    self._order.add(entries)
                started += await self._start(entries)
                shown += len(entries)
                if self.more:
                    group.cancel_scope.cancel()
                    break
                if (reason := self._dispatcher.open_reason(self._source.name)) is not None:
                    group.cancel_scope.cancel()
                    reading.fail(reason, fatal=True)
                    break
        self._unreadable.note()
        return PassResult(started, shown, reading.failure, reading.fatal)

    async def _start(self, page: Sequence[Entry]) -> int:
        comparison = await self._compare(page)
        for one in comparison.forgotten:
            await self._dispatcher.acknowledge(one)
        if not comparison.fresh:
            return 0
        now = time.time()
        documents = [self._document(entry, now) for entry in comparison.fresh]
        await self._ledger.forget(comparison.superseded)
        await self._ledger.seen([(d.key, d.entry.label) for d in documents], now)
        started = 0
        for document in documents:
            if self._is_over():
                self.more = True
                break
            started += await self._dispatcher.submit(document)
        return started

    def _is_over(self) -> bool:
        """Whether this poll has started documents for as long as it may."""
        now = anyio.current_time()
        if self._began_at is None:
            self._began_at = now
        return now - self._began_at > self._part.starting

    async def _compare(self, page: Sequence[Entry]) -> Comparison:
        """Compare a page with the ledger."""
        # Documents in flight are left out before the ledger is read, as their rows may still
        # change. Of several documents under one id, only one is in flight at a time.
        entries: dict[str, Entry] = {}
        for entry in page:
            if not self._dispatcher.is_id_in_flight(self._source.name, entry.id):
                entries.setdefault(entry.id, entry)
        contents = await self._ledger.contents(self._source.name, entries)
        comparison = Comparison([], [], [])
        for entry in entries.values():
            if rows := contents.get(entry.id):
                if any(row.state is State.WAITING for row in rows.values()):
                    self._absent.shown.add(entry.id)
                self._compare_known(entry, rows, comparison)
            else:
                comparison.fresh.append(entry)
        return comparison

    def _compare_known(
        self, entry: Entry, rows: Mapping[str, Known], comparison: Comparison
    ) -> None:
        """Decide on an entry whose id the ledger knows."""
        row = rows.get(entry.revision)
        if row is None or not row.has_ended:
            self._open += 1
        if row is None or not row.has_ended or row.acknowledged_at is None:
            self._staying[entry.lane] += 1
        if any(map(self._had_its_turn, rows.values())):
            return
        if row is not None and row.has_ended:
            if not self._means_something(row):
                return
            if row.state in ACKED:
                if entry.revision and self._traits.exact_revisions:
                    ack = Ack(self._source, entry.id, entry.revision).ack()
                    pending = PendingAck(self._key(entry), self._source, ack, company=entry.company)
                    comparison.forgotten.append(pending)
                    return
                # The source may have forgotten the acknowledgement, or the id may stand for another
                # document now. Only the content tells; a new one gets a revision of our own.
                if not all(self._was_acknowledged(one) for one in rows.values() if one.has_ended):
                    return
                entry = structs.replace(entry, revision=next_revision(rows, entry.revision))
        # Whatever the list states, the same bytes are not delivered twice under one id.
        hashes = frozenset(one.sha256 for one in rows.values() if one.state is State.DELIVERED)
        first_seen = None if row is None else row.seen_at
        if hashes or first_seen is not None:
            entry = structs.replace(entry, known_hashes=hashes, first_seen=first_seen)
        comparison.fresh.append(entry)
        comparison.superseded.extend(
            Key(self._source.name, entry.id, revision)
            for revision in superseded(entry.revision, rows)
        )

    def _had_its_turn(self, row: Known) -> bool:
        """Whether an id has to wait for the next poll, or for recovery of a staged document.

        An id that was delivered in this poll may stand for another document already.
        """
        if row.state is State.STAGED:
            return True
        return row.state is not State.DELIVERED and row.poll >= self._number

    def _means_something(self, row: Known) -> bool:
        """Whether it means something that a document is listed which has come to its end."""
        if not self._traits.shrinks or self._traits.in_order:
            return False
        if row.state is State.QUARANTINED and not self._traits.says_error:
            return False
        return self._was_acknowledged(row)

    def _was_acknowledged(self, row: Known) -> bool:
        return row.acknowledged_at is not None and row.poll < self._number

    async def _pending_ack(self, key: Key, row: Known) -> PendingAck:
        """What the source is to be told of a document that the ledger has the end of."""
        ack = Ack(self._source, key.id, key.revision)
        if row.state in ACKED:
            outcome = ack.ack()
        else:
            outcome = ack.nack(row.reason, kept=await self._dispatcher.kept(key))
        return PendingAck(key, self._source, outcome, company=row.company)

    def _key(self, entry: Entry) -> Key:
        return Key(self._source.name, entry.id, entry.revision)

    def _document(self, entry: Entry, now: float) -> Document[Listed]:
        ack = Ack(self._source, entry.id, entry.revision)
        return Document(self._key(entry), entry, ack, seen_at=now, meta=entry.meta)
