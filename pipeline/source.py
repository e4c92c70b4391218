"""Contract of a source: what a connector to a remote system guarantees to the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import anyio
from msgspec import Struct, structs

from pipeline.hints import Pushed
from pipeline.retry import RetryPolicy
from pipeline.text import sanitized
from pipeline.throttle import Throttle
from pipeline.traits import Traits

#: Characters of a label, at most.
MAX_LABEL = 300


class Outcome(Struct, frozen=True):
    """An acknowledgement: what became of a document.

    id: as the source listed it. accepted: whether the source need not hold the document any more
    (ack), or it can't be delivered (nack). reason: why it can't be. kept: whether its bytes are
    safe with us, so that it may leave the source; a document that could not be fetched has none.
    revision: as the source listed it, perhaps with an addition of the engine's own (`~1`); another
    document that has taken the id since is not meant.
    """

    id: str
    accepted: bool
    reason: str = ""
    kept: bool = True
    revision: str = ""


class Form(Struct, frozen=True):
    """One form in which a document can be had beside its own, such as a PDF of an invoice.

    name: "pdf", "xml" and the like; the source maps it to its own address, path or media type.
    size: bytes, if the list states them.
    """

    name: str
    media_type: str = ""
    size: int | None = None


class FoundCompany(Struct, frozen=True):
    """A company whose documents the credentials of a source give access to.

    id: what the source calls it; [[companies]] of the configuration names it as platform_id.
    identifier: enterprise or VAT number as the source states it. file_number: the accountant's own
    number of the client's file. All but the id may be empty.
    """

    id: str
    name: str = ""
    identifier: str = ""
    file_number: str = ""


class Entry(Struct, frozen=True):
    """One line of a source's list.

    id: identifies the document for as long as the source holds it; opaque to everything but the
        source.
    revision: changes if, and only if, another document takes its place under this id; empty
        where the source states no revision.
    label: the name of the document for people, in logs and errors.
    meta: what the stages need of the list; the engine passes it on unread.
    forms: the other forms in which it can be had; None if the list does not say.
    lane: of entries that are acknowledged by an offset, the list that it counts in; of entries that
        are acknowledged together, their group; of a source that shows so many at most, the list.
    known_hashes: SHA-256 (hexadecimal) of all that was delivered under this id before.
    first_seen: when it was listed for the first time, in seconds since 1970; None if just now.
        The list stage sets these two, and no source does.
    """

    id: str
    revision: str
    label: str
    meta: Any
    forms: tuple[Form, ...] | None = None
    lane: str = ""
    known_hashes: frozenset[str] = frozenset()
    first_seen: float | None = None

    @property
    def company(self) -> str:
        """Whose it is by the list, as the company's configured identifier; "" if it is unknown."""
        return getattr(self.meta, "company", None) or ""

    def __post_init__(self) -> None:
        """Sanitize the label: it is shown, and it becomes a part of a file's name."""
        label = sanitized(self.label, MAX_LABEL)
        if label != self.label:
            structs.force_setattr(self, "label", label)


class UnreadableItems(Struct, frozen=True):
    """Documents of one list that were left out because what the list says of them can't be read.

    items: how many. reasons: the first few different ones.
    """

    list: str
    items: int
    reasons: Sequence[str]


class StatedChecksum(Struct, frozen=True):
    """A checksum of a document as its source states it.

    stated_in: where, as warnings and errors name it. algorithm: in any usual spelling. digest: None
    where the source states something else. covers: what the checksum is of, if not of the bytes
    that are handed over ("the document in gzip"); it can't be checked then. proves_damage: whether
    the document is damaged if its checksum is another one.
    """

    stated_in: str
    algorithm: str = ""
    digest: bytes | None = None
    covers: str = ""
    proves_damage: bool = True


class Announced(Struct, frozen=True):
    """What a source states of the bytes that it sends, other than in its list.

    media_type: in lower case, without parameters; "" if unknown. length: bytes, decoded of any
    coding; None if unknown. coding: of which the bytes were unpacked ("gzip"); what else is stated
    of the document, say by the list, may be of the packed bytes then.
    """

    media_type: str = ""
    length: int | None = None
    checksums: tuple[StatedChecksum, ...] = ()
    coding: str = ""


class Incoming(Struct):
    """A document on its way in.

    announced: what its source states of it; checksums that follow the bytes are there when `chunks`
    has ended. chunks: the bytes, decoded of any transfer or content coding, in the order sent.
    """

    announced: Announced
    chunks: AsyncIterator[bytes]


class Source(ABC):
    """A remote system that holds documents to be fetched.

    Any method may raise RetryableError (with retry_after if the remote system asks for a pause),
    SignInRefused or SourceError. Methods are called concurrently. After close() nothing is left
    open.
    """

    name: str
    #: The section of the configuration that it was opened from.
    settings: Any
    #: What its list does, and how it takes acknowledgements.
    traits: Traits = Traits()
    #: Outcomes that acknowledge() takes at once.
    ack_batch: int = 1
    #: How failures that pass are retried.
    retries: RetryPolicy = RetryPolicy()
    #: What the latest walk had to leave out.
    unreadable: Sequence[UnreadableItems] = ()
    #: Where a walk may begin, opaque to everything but the source; "" for the start. The engine
    #: sets it before a walk to what it was after an earlier one, all of whose documents have come
    #: to their end; losing it costs time and nothing else. A source without a use for it leaves it.
    #: A walk that fails in part moves it past nothing but what it has yielded.
    cursor: str = ""
    #: The identifiers of the companies whose lists a walk is over; None for all. The engine sets it
    #: before a walk, and only where by_company() holds.
    only: Collection[str] | None = None
    #: What bounds its requests, and is to be divided where several nodes poll it at once.
    throttles: Sequence[Throttle] = ()
    #: Takes the requests by which its platform says that there is something new; None if it sends
    #: none, or they are not wanted.
    push: Pushed | None = None

    @property
    def sign_in_ends_at(self) -> float | None:
        """When its user has to sign in again at the latest, in seconds since 1970.

        None where that is not known, or never. Sends no request.
        """
        return None

    async def signed_in_anew(self) -> None:
        """Wait, after a SignInRefused, until somebody has signed in anew; for ever by default.

        Sends no request.
        """
        await anyio.sleep_forever()

    @abstractmethod
    def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield the documents that wait to be fetched, a page at a time: one walk over the list.

        A walk may yield an entry twice, and may miss one when the list shifts meanwhile: the caller
        repeats the walk until one yields nothing new while nothing is in flight. An entry that
        has not been acknowledged is yielded by a later walk, so that none is ever lost. Where a
        part of the list can't be read, the other parts are yielded before its SourceError is
        raised. What can't be read of a single document is left out, and stands in `unreadable`
        when the walk has ended.

        Entries of one lane come in the order of the lane.

        config: the configuration in force, which names the companies to ask for.
        """

    def by_company(self, config: Any) -> bool:  # noqa: ARG002 - some use it
        """Whether each company has lists of its own, which can be walked over without the others'.

        Then a walk heeds `only`, and several may be made at once by sources of one name, each on a
        machine of its own. Sends no request.
        """
        return False

    async def hints(self) -> AsyncGenerator[str, None]:
        """Yield a lane, or "" for any, whenever something new may be listed; by default each push.

        It is read as long as the source is polled, and a hint shortens the wait until the next poll
        and does nothing else: hints may come too often, too late or not at all. It may end, and may
        raise; it is begun anew then, after the interval between two polls. A source with a
        connection of its own for them closes that when the generator is closed.
        """
        if self.push is not None:
            async with aclosing(self.push.hints()) as hints:
                async for lane in hints:
                    yield lane

    @abstractmethod
    def backlog(self) -> int | None:
        """How many documents wait, as far as the latest walk has got; None if it is not known.

        Sends no request.
        """

    @abstractmethod
    def fetch(self, entry: Entry, form: str = "") -> AbstractAsyncContextManager[Incoming]:
        """Fetch one document, or another form of it by its name (`Form.name`).

        Rejected if the source no longer has it, or has it not in that form.
        """

    @abstractmethod
    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        """Tell the source what became of its documents: at most ack_batch of them.

        Returns the ids of those that the source has taken; the others are offered again at a later
        poll. When it raises it has taken any number of them, and may be called with all again:
        acknowledging is idempotent. It is never called where the traits say NONE. OFFSET: the one
        outcome is of the last document of its lane up to which all is safe. GROUP: it is of the
        last document of the group, and accepted if all of them are.
        """

    async def companies(self) -> Sequence[FoundCompany] | None:
        """The companies that the credentials give access to; None where that can't be asked."""
        return None

    def shows(self, id: str, company: str) -> bool:  # noqa: A002, ARG002 - as Entry.id
        """Whether the latest walk, if it was complete, has shown a document if it is listed still.

        id: of an entry of an earlier walk. company: the identifier of the company, which is
        configured, whose list showed it; "" if that is not known. Where this holds, a document that
        waits and was not shown is gone. By default that can't be told. Sends no request.
        """
        return False

    @abstractmethod
    async def check(self, config: Any) -> str:
        """Sign in and read the first page; return what was found, as a sentence."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections. No method is called afterwards."""
