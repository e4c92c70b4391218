"""Orders: makes documents out of what people have asked for, for the stages of any other one.

Their bytes come from the copies of what was delivered, from the quarantine, or from the source.
"""

from __future__ import annotations

import mimetypes
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio.to_thread
from msgspec import structs

from pipeline.document import Ack, Document
from pipeline.engine.copies import Copies
from pipeline.engine.quarantine import Quarantine, Stored
from pipeline.errors import ControlError, Rejected, Skipped
from pipeline.files import read_file
from pipeline.ledger.details import decoded
from pipeline.ledger.orders import ASSIGN, REDELIVER, Order
from pipeline.ledger.selection import Selected
from pipeline.retry import RetryPolicy
from pipeline.source import Announced, Entry, Incoming, Outcome, Source, StatedChecksum
from pipeline.traits import Acknowledging, Traits
from stages.kind import Kind
from stages.model import ByHand, Listed
from stages.settings import Company, Config

#: Reads the bytes of a document, or of another form of it; None where there are none.
Read = Callable[[str], Awaitable[bytes | None]]


class OrderSource(Source):
    """The source of the document of one order: its bytes from here, or else from its own source.

    real: finds that source as it is at this moment. What comes of the document is told to it only
    where that depends on nothing else.
    """

    def __init__(
        self,
        name: str,
        entry: Entry,
        read: Read,
        real: Callable[[], Source | None],
        announced: Announced,
        *,
        again: bool,
        stated: bool,
    ) -> None:
        self.name = name
        self._entry = entry
        self._read = read
        self._real = real
        self._announced = announced
        self._again = again
        self._stated = stated
        source = real()
        self.retries = source.retries if source is not None else RetryPolicy(attempts=1)
        traits = source.traits if source is not None else Traits()
        is_told = source is not None and not again and not traits.in_order
        if not is_told:
            traits = structs.replace(traits, acknowledges=Acknowledging.NONE)
        self.traits = traits

    async def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:  # noqa: ARG002
        """List the one document."""
        yield [self._entry]

    def backlog(self) -> int | None:
        """Not known."""
        return None

    def fetch(self, entry: Entry, form: str = "") -> AbstractAsyncContextManager[Incoming]:  # noqa: ARG002
        """Fetch the document, or another form of it."""
        return self._fetch(form)

    @asynccontextmanager
    async def _fetch(self, form: str) -> AsyncGenerator[Incoming, None]:
        content = await self._read(form)
        if content is not None:
            yield self._incoming(content)
            return
        source, label = self._real(), self._entry.label
        if source is None:
            raise self._gone(label, "nothing of it is kept, and its source is not configured", form)
        fetching = source.fetch(self._entry, form)
        try:
            incoming = await fetching.__aenter__()
        except Rejected as error:
            raise self._gone(label, f"no copy of it is kept, and {error.reason}", form) from None
        try:
            yield incoming
        finally:
            await fetching.__aexit__(None, None, None)

    def _gone(self, label: str, reason: str, form: str) -> Rejected | Skipped:
        """Why it can't be had; what was delivered once does not go to the quarantine for that."""
        error = Skipped if self._again and not form else Rejected
        return error(label, reason, "Put it back to be fetched at the platform")

    def _incoming(self, content: bytes) -> Incoming:
        checksums: tuple[StatedChecksum, ...] = ()
        if self._stated:
            digest = sha256(content).digest()
            checksums = (StatedChecksum("the copy that is kept", "sha-256", digest),)
        stated = structs.replace(self._announced, length=len(content), checksums=checksums)
        return Incoming(stated, _once(content))

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        """Tell the source itself what became of the document."""
        source = self._real()
        return await source.acknowledge(outcomes) if source is not None else ()

    async def check(self, config: Any) -> str:  # noqa: ARG002
        """Nothing to check."""
        return ""

    async def close(self) -> None:
        """Nothing is open."""


class OrderDocuments:
    """Makes the documents of orders, under the configuration in force.

    source: finds a source that is open by its name.
    """

    def __init__(
        self,
        copies: Copies,
        quarantine: Quarantine,
        config: Callable[[], Config],
        source: Callable[[str], Source | None],
    ) -> None:
        self._copies = copies
        self._quarantine = quarantine
        self._config = config
        self._source = source

    async def make(self, order: Order, row: Selected) -> Document[Listed]:
        """Make the document of an order; row: of the document that it is of.

        ControlError if that is not possible, as things are.
        """
        if order.verb == REDELIVER:
            return await self._again(order, row)
        stored = await self._quarantine.stored(order.key)
        if order.verb == ASSIGN:
            return self._assigned(order, row, stored)
        listed = _hinted(self._config(), stored)
        return self._document(order, row, listed, self._reader(stored), stated=False)

    async def _again(self, order: Order, row: Selected) -> Document[Listed]:
        config, details = self._config(), decoded(row.details)
        company = self._company(row.company, row)

        async def read(form: str) -> bytes | None:
            return await anyio.to_thread.run_sync(self._copies.get, row.key, form)

        has_copy = await read("") is not None
        folder = Path(order.folder) if order.folder else None
        why = details.why or "it was so when it was delivered first"
        listed = Listed(
            config,
            id=details.id or row.key.id.rpartition("/")[2],
            number=details.number,
            issue_date=details.date,
            counterparty=details.counterparty,
            # Without a copy it has to be the same that the platform has sent before.
            sha256=None if has_copy else row.sha256 or None,
            by_hand=ByHand(company, Kind(row.kind), why, folder, as_is=has_copy),
        )
        return self._document(order, row, listed, read, stated=True)

    def _assigned(self, order: Order, row: Selected, stored: Stored | None) -> Document[Listed]:
        if stored is None:
            raise ControlError(row.label, "the quarantine keeps no bytes of it any more")
        company = self._company(order.company, row)
        why = f"by hand: {order.reason}" if order.reason else "by hand"
        by_hand = ByHand(company, Kind(order.kind), why)
        listed = structs.replace(_hinted(self._config(), stored), sha256=None, by_hand=by_hand)
        return self._document(order, row, listed, self._reader(stored), stated=True)

    def _document(
        self, order: Order, row: Selected, listed: Listed, read: Read, *, stated: bool
    ) -> Document[Listed]:
        key = order.delivered_as
        guessed = listed.media_type or mimetypes.guess_type(row.path)[0] or ""
        entry = Entry(row.key.id, row.key.revision, row.label, listed)
        source = OrderSource(
            key.source,
            entry,
            read,
            lambda: self._source(row.key.source),
            Announced(guessed),
            again=order.verb == REDELIVER,
            stated=stated,
        )
        return Document(key, entry, Ack(source, entry.id), time.time(), listed)

    def _reader(self, stored: Stored | None) -> Read:
        """Reads what the quarantine keeps of a document."""
        most = self._config().service.max_document_size

        async def read(form: str) -> bytes | None:
            if stored is None or form:
                return None
            content = await anyio.to_thread.run_sync(read_file, stored.path, most)
            if stored.sha256 and sha256(content).hexdigest() != stored.sha256:
                raise Rejected(str(stored.path), "it is not what was kept any more")
            return content

        return read

    def _company(self, identifier: str, row: Selected) -> Company:
        for company in self._config().companies:
            if company.identifier == identifier:
                return company
        raise ControlError(
            row.label,
            f"it is of {identifier or 'no company'}, which is not configured",
            "Add the company to [[companies]]",
        )


def _hinted(config: Config, stored: Stored | None) -> Listed:
    """What the list said of a document that the quarantine keeps."""
    hints = stored.hints if stored is not None else {}
    kind = hints.get("kind", "")
    # The list's checksum is of the bytes as they came.
    as_sent = stored is not None and stored.sha256 == stored.sent_sha256
    return Listed(
        config,
        id=hints.get("id", ""),
        kind=Kind(kind) if kind in list(Kind) else None,
        company=hints.get("company") or None,
        number=hints.get("number", ""),
        issue_date=hints.get("issue_date", ""),
        counterparty=hints.get("counterparty", ""),
        media_type=hints.get("media_type", ""),
        sha256=(hints.get("sha256") or None) if as_sent else None,
    )


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def company_named(config: Config, text: str) -> str | None:
    """The identifier of the company that a person names by its number or name; else None.

    None also where several companies bear the name.
    """
    wanted = "".join(filter(str.isalnum, text)).upper()
    if not wanted:
        return None
    numbers = [
        one.identifier
        for one in config.companies
        if any(
            plain and (wanted in (plain, f"BE{plain}") or f"BE{wanted}" == plain)
            for plain in map(_plain, (one.identifier, one.accounting_file_id, *one.identifiers))
        )
    ]
    names = [one.identifier for one in config.companies if one.name.casefold() == text.casefold()]
    found = set(numbers or names)
    return found.pop() if len(found) == 1 else None


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text)).upper()
