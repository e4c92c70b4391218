"""Stage 1, list: walks over a source's list until nothing new is left, and starts documents."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from enum import StrEnum

import anyio
import structlog
from msgspec import Struct, structs

from pipeline.acknowledge import Settled, settled
from pipeline.document import Ack, Document, Key
from pipeline.engine import Engine
from pipeline.errors import PassingError, SignInRefused, SynqupError
from pipeline.ledger import Ledger
from pipeline.records import FORWARDED, Known, State
from pipeline.source import Entry, Source
from stages.settings import Config

log = structlog.get_logger(__name__)

#: Pages that are read before there is room for their documents.
AHEAD = 8


class Kind(StrEnum):
    """Where a document belongs: the three destinations, or none of them ([delivery] others)."""

    PURCHASE = "purchase"
    SALES = "sales"
    STATEMENT = "statement"
    UNKNOWN = "unknown"

    @property
    def path(self) -> str:
        """The key of its destination in [delivery] and [[companies]]."""
        return {
            "purchase": "purchases",
            "sales": "sales",
            "statement": "statements",
            "unknown": "others_path",
        }[self.value]


class Listed(Struct, frozen=True):
    """What the list says of a document: hints, any of which may be absent or wrong.

    config: the configuration in force when it was listed; the document finishes under it.
    kind: the list's own word. company: the configured identifier of the company whose mailbox
    it came from (`Company.identifier`). issue_date: ISO 8601. size: bytes. sha256: hexadecimal.
    """

    config: Config
    kind: Kind | None = None
    company: str | None = None
    number: str = ""
    issue_date: str = ""
    counterparty: str = ""
    media_type: str = ""
    size: int | None = None
    sha256: str | None = None


class Walked(Struct, frozen=True):
    """What one walk over the list came to.

    failure: what kept it from being a whole one. hopeless: whether another would fare no better.
    """

    started: int
    shown: int
    failure: SynqupError | None
    hopeless: bool


class Lister:
    """One poll of one source, under the configuration in force when it begins."""

    def __init__(self, source: Source, config: Config, ledger: Ledger, intake: Engine) -> None:
        self._source = source
        self._config = config
        self._ledger = ledger
        self._intake = intake
        self._began = time.time()

    async def poll(self) -> None:
        """Start every document that waits at the source; return when all have come to an end.

        The list shifts while documents are acknowledged and new ones arrive, so one walk may
        miss some: walks are repeated until one that began with nothing in flight shows nothing
        new. Raises what makes the source unusable: SourceUnreachable, SignInRefused, SourceError;
        the last of them when the parts of the list that can be read have been.
        """
        self._intake.forgive(self._source.name)
        await self._tell_again()
        while True:
            quiet = not self._intake.flying(self._source.name)
            walked = await self._walk()
            if walked.failure is not None and walked.hopeless:
                raise walked.failure
            if not walked.started and quiet:
                break
            backlog = self._source.backlog()
            if not walked.started or (backlog is not None and walked.shown >= backlog):
                # What is left, if anything, shows best when these have left the list.
                await self._intake.landed(self._source.name)
        if walked.failure is not None:
            raise walked.failure
        await self._ledger.polled(self._source.name, time.time())

    async def waiting(self) -> list[Entry]:
        """What a poll would start, looked up and left alone."""
        entries = {}
        async with aclosing(self._source.list(self._config)) as pages:
            async for page in pages:
                fresh, _ = await self._sift(page)
                entries.update({entry.id: entry for entry in fresh})
        return list(entries.values())

    async def _tell_again(self) -> None:
        """Acknowledge what an earlier poll delivered or quarantined and could not tell."""
        # What is in flight now is told by itself, and may have been before the ledger answers.
        flying = self._intake.in_flight(self._source.name)
        for key, known in await self._ledger.unacknowledged(self._source.name):
            if key not in flying:
                await self._intake.tell(settled(key, self._source, known))

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
                    hopeless = isinstance(error, PassingError | SignInRefused)

        async with receive, anyio.create_task_group() as reading:
            reading.start_soon(read)
            async for page in receive:
                started += await self._start(page)
                shown += len(page)
                if (setback := self._intake.setback(self._source.name)) is not None:
                    reading.cancel_scope.cancel()
                    failure, hopeless = setback, True
                    break
        return Walked(started, shown, failure, hopeless)

    async def _start(self, page: Sequence[Entry]) -> int:
        fresh, forgotten = await self._sift(page)
        for one in forgotten:
            await self._intake.tell(one)
        if not fresh:
            return 0
        now = time.time()
        documents = [self._document(entry, now) for entry in fresh]
        await self._ledger.seen([(d.key, d.entry.label) for d in documents], now)
        return sum([await self._intake.offer(document) for document in documents])

    async def _sift(self, page: Sequence[Entry]) -> tuple[list[Entry], list[Settled]]:
        """Of a page: what to start, and what the source was told of and seems to have forgotten.

        The second are those whose revision says that they are the same still.
        """
        # What is in flight is left out before the ledger is asked: its row may still change.
        keys = {key: entry for entry in page if not self._intake.is_flying(key := self._key(entry))}
        known = await self._ledger.known(list(keys))
        fresh, forgotten, unsure = [], [], []
        for key, entry in keys.items():
            row = known.get(key)
            if row is None or self._again(row):
                fresh.append(entry)
            elif row.state in FORWARDED and self._told_before(row):
                if entry.revision:
                    forgotten.append(settled(key, self._source, row))
                else:
                    unsure.append(entry)
        if unsure:
            fresh += await self._put_back(unsure)
        return fresh, forgotten

    async def _put_back(self, page: Sequence[Entry]) -> list[Entry]:
        """What to fetch again of what is listed again, without a revision, after it was told of.

        The source may have forgotten that, or the id may stand for another document now. Only the
        content tells: what was delivered before is not delivered again (Entry.had), and another
        content is another document, under the next revision of our own.
        """
        ids = [entry.id for entry in page]
        contents = await self._ledger.contents(self._source.name, ids)
        # What is in flight is left out, and the ledger asked anew of what was not.
        landed = [
            entry
            for entry in page
            if not self._intake.is_flying(self._key(_next(entry, contents[entry.id])))
        ]
        contents = await self._ledger.contents(self._source.name, [entry.id for entry in landed])
        again = []
        for entry in landed:
            rows = contents[entry.id]
            following = _next(entry, rows)
            row = rows.get(following.revision)
            told = all(self._told_before(one) for one in rows.values() if one.state in FORWARDED)
            if told and (row is None or row.state in FORWARDED or self._again(row)):
                again.append(following)
        return again

    def _again(self, row: Known) -> bool:
        """Whether a document that the ledger knows, and that is listed again, starts again."""
        match row.state:
            case State.SEEN:
                return True
            case State.WAITING:
                return row.changed_at < self._began
            case State.QUARANTINED:
                # The source was told of the error, so somebody there has put it back.
                return self._told_before(row)
            case _:
                return False

    def _told_before(self, row: Known) -> bool:
        return row.acknowledged_at is not None and row.acknowledged_at < self._began

    def _key(self, entry: Entry) -> Key:
        return Key(self._source.name, entry.id, entry.revision)

    def _document(self, entry: Entry, now: float) -> Document[Listed]:
        ack = Ack(self._source, entry.id)
        return Document(self._key(entry), entry, ack, seen_at=now, facts=entry.facts)


def _next(entry: Entry, rows: Mapping[str, Known]) -> Entry:
    """An entry under the first revision of our own that has not been delivered."""
    revision, number = "", 0
    while (row := rows.get(revision)) is not None and row.state is State.DELIVERED:
        number += 1
        revision = f"~{number}"
    had = frozenset(row.sha256 for row in rows.values() if row.state is State.DELIVERED)
    return structs.replace(entry, revision=revision, had=had)
