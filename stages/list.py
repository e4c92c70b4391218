"""Stage 1, list: walks over a source's list until nothing new is left, and starts documents."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing

import anyio
import structlog
from msgspec import Struct, structs

from pipeline.dispatcher import Dispatcher, PendingAck
from pipeline.document import Ack, Document, Key
from pipeline.errors import RetryableError, SignInRefused, SynqupError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import ACKED, ENDED, Known, State
from pipeline.source import Entry, Source
from stages.model import Listed
from stages.settings import Config

log = structlog.get_logger(__name__)

#: Pages that are read before there is room for their documents.
AHEAD = 8
#: Revisions of one id that came to nothing and are remembered.
REMEMBERED = 16


class Walked(Struct, frozen=True):
    """What one walk over the list came to.

    failure: what kept it from being a whole one. hopeless: whether another would fare no better.
    """

    started: int
    shown: int
    failure: SynqupError | None
    hopeless: bool


class Sifted(Struct, frozen=True):
    """What becomes of a page.

    fresh: what starts. forgotten: what the source was told of and seems to have forgotten, where
    the revision says that it is the same still. superseded: rows in whose place what starts comes.
    """

    fresh: list[Entry]
    forgotten: list[PendingAck]
    superseded: list[Key]


class Lister:
    """One poll of one source, under the configuration in force when it begins."""

    def __init__(
        self, source: Source, config: Config, ledger: Ledger, dispatcher: Dispatcher
    ) -> None:
        self._source = source
        self._config = config
        self._ledger = ledger
        self._dispatcher = dispatcher
        # What is only looked up comes after every poll so far.
        self._number: float = math.inf

    async def poll(self) -> None:
        """Start every document that waits at the source; return when all have come to an end.

        The list shifts while documents are acknowledged and new ones arrive, so one walk may
        miss some: walks are repeated until one that began with nothing in flight shows nothing
        new. Raises what makes the source unusable: SourceUnavailable, SignInRefused, SourceError;
        the last of them when the parts of the list that can be read have been.
        """
        self._dispatcher.reset_breaker(self._source.name)
        self._number = await self._ledger.begin_poll(self._source.name)
        await self._tell_again()
        while True:
            quiet = not self._dispatcher.in_flight_count(self._source.name)
            walked = await self._walk()
            if walked.failure is not None and walked.hopeless:
                raise walked.failure
            if not walked.started and quiet:
                break
            backlog = self._source.backlog()
            if not walked.started or (backlog is not None and walked.shown >= backlog):
                # What is left, if anything, shows best when these have left the list.
                await self._dispatcher.drained(self._source.name)
        if walked.failure is not None:
            raise walked.failure
        await self._ledger.polled(self._source.name, time.time())

    async def waiting(self) -> list[Entry]:
        """What a poll would start, looked up and left alone."""
        entries = {}
        async with aclosing(self._source.list(self._config)) as pages:
            async for page in pages:
                sifted = await self._sift(page)
                entries.update({entry.id: entry for entry in sifted.fresh})
        return list(entries.values())

    async def _tell_again(self) -> None:
        """Acknowledge what an earlier poll delivered or quarantined and could not tell."""
        last: tuple[Key, Known] | None = None
        while True:
            # What is in flight now is told by itself, and may have been before the ledger answers.
            in_flight = self._dispatcher.in_flight(self._source.name)
            found = await self._ledger.unacknowledged(self._source.name, last)
            if not found:
                return
            last = found[-1]
            for key, known in found:
                if key not in in_flight:
                    await self._dispatcher.acknowledge(self._pending_ack(key, known))

    async def _walk(self) -> Walked:
        """Start what is new, a page at a time, while the next ones are on their way."""
        started = shown = 0
        failure: SynqupError | None = None
        hopeless = False
        send, receive = anyio.create_memory_object_stream[Sequence[Entry]](AHEAD)

        async def read() -> None:
            nonlocal failure, hopeless
            async with send, aclosing(self._source.list(self._config)) as pages:
                try:
                    async for page in pages:
                        await send.send(page)
                except SynqupError as error:
                    failure = error
                    hopeless = isinstance(error, RetryableError | SignInRefused)

        async with receive, anyio.create_task_group() as reading:
            reading.start_soon(read)
            async for page in receive:
                started += await self._start(page)
                shown += len(page)
                if (reason := self._dispatcher.open_reason(self._source.name)) is not None:
                    reading.cancel_scope.cancel()
                    failure, hopeless = reason, True
                    break
        return Walked(started, shown, failure, hopeless)

    async def _start(self, page: Sequence[Entry]) -> int:
        sifted = await self._sift(page)
        for one in sifted.forgotten:
            await self._dispatcher.acknowledge(one)
        if not sifted.fresh:
            return 0
        now = time.time()
        documents = [self._document(entry, now) for entry in sifted.fresh]
        await self._ledger.forget(sifted.superseded)
        await self._ledger.seen([(d.key, d.entry.label) for d in documents], now)
        return sum([await self._dispatcher.submit(document) for document in documents])

    async def _sift(self, page: Sequence[Entry]) -> Sifted:
        """Compare a page with the ledger."""
        # What is in flight is left out before the ledger is asked: its rows may still change. Of
        # what an id stands for, one at a time.
        entries: dict[str, Entry] = {}
        for entry in page:
            if not self._dispatcher.is_id_in_flight(self._source.name, entry.id):
                entries.setdefault(entry.id, entry)
        contents = await self._ledger.contents(self._source.name, entries)
        sifted = Sifted([], [], [])
        for entry in entries.values():
            if rows := contents.get(entry.id):
                self._judge(entry, rows, sifted)
            else:
                sifted.fresh.append(entry)
        return sifted

    def _judge(self, entry: Entry, rows: Mapping[str, Known], sifted: Sifted) -> None:
        """Decide on one whose id the ledger knows."""
        row = rows.get(entry.revision)
        if any(map(self._had_its_turn, rows.values())):
            return
        if row is not None and row.state in ENDED:
            if not self._told_before(row):
                return
            if row.state in ACKED:
                if entry.revision:
                    sifted.forgotten.append(self._pending_ack(self._key(entry), row))
                    return
                # The source may have forgotten that, or the id may stand for another document now.
                # Only the content tells: another one is another document, under a revision of ours.
                if not all(self._told_before(one) for one in rows.values() if one.state in ENDED):
                    return
                entry = structs.replace(entry, revision=_next(rows))
        # Whatever the list says of it, the same bytes are not delivered again under one id.
        hashes = frozenset(one.sha256 for one in rows.values() if one.state is State.DELIVERED)
        sifted.fresh.append(structs.replace(entry, known_hashes=hashes) if hashes else entry)
        sifted.superseded.extend(
            Key(self._source.name, entry.id, revision)
            for revision in _superseded(entry.revision, rows)
        )

    def _had_its_turn(self, row: Known) -> bool:
        """Whether an id has to wait for the next poll, or for what is staged to be settled.

        One that brought something in this poll may stand for another document already.
        """
        if row.state is State.STAGED:
            return True
        return row.state is not State.DELIVERED and row.poll >= self._number

    def _told_before(self, row: Known) -> bool:
        return row.acknowledged_at is not None and row.poll < self._number

    def _pending_ack(self, key: Key, row: Known) -> PendingAck:
        """What the source is to be told of a document that the ledger has the end of."""
        ack = Ack(self._source, key.id)
        outcome = ack.ack() if row.state in ACKED else ack.nack(row.reason)
        return PendingAck(key, self._source, outcome)

    def _key(self, entry: Entry) -> Key:
        return Key(self._source.name, entry.id, entry.revision)

    def _document(self, entry: Entry, now: float) -> Document[Listed]:
        ack = Ack(self._source, entry.id)
        return Document(self._key(entry), entry, ack, seen_at=now, meta=entry.meta)


def _next(rows: Mapping[str, Known]) -> str:
    """The first revision of our own that has not been delivered."""
    revision, number = "", 0
    while (row := rows.get(revision)) is not None and row.state is State.DELIVERED:
        number += 1
        revision = f"~{number}"
    return revision


def _superseded(revision: str, rows: Mapping[str, Known]) -> list[str]:
    """Revisions in whose place another one comes: what never ended, and ends beyond a bound.

    A list whose revisions move at each look would fill the ledger with them.
    """
    idle = [
        other
        for other, row in rows.items()
        if other != revision and row.state not in (State.STAGED, State.DELIVERED)
    ]
    if len(idle) > REMEMBERED:
        return idle
    return [other for other in idle if rows[other].state in (State.SEEN, State.WAITING)]
