"""What a source of documents promises the engine, guarantee by guarantee."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any

from msgspec import Struct, structs

from pipeline.retry import RetryPolicy
from pipeline.text import sanitized

#: Characters of a label.
LABEL = 300


class Status(StrEnum):
    """What a source is told of a document, in the end."""

    FORWARDED = "FORWARDED"
    ERROR = "ERROR"


class Outcome(Struct, frozen=True):
    """One acknowledgement: id as the source listed it; message: the reason of an ERROR."""

    id: str
    status: Status
    message: str = ""


class Entry(Struct, frozen=True):
    """One line of a source's list.

    id: names the document for as long as the source holds it.
    revision: changes when, and only when, the document under this id becomes another one;
        empty where the source has no such word.
    label: how a person would name it, for logs and errors.
    meta: whatever the stages want of the list; the engine passes it on unread.
    known_hashes: SHA-256 (hexadecimal) of all that was delivered under this id before; the list
        stage sets it, and no source does.
    """

    id: str
    revision: str
    label: str
    meta: Any
    known_hashes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Make its label fit to be shown, and to name a file, whatever the list says."""
        label = sanitized(self.label, LABEL)
        if label != self.label:
            structs.force_setattr(self, "label", label)


class Incoming(Struct, frozen=True):
    """A document on its way in.

    headers: of the answer, names in lower case. length: bytes announced, if they were.
    chunks: the bytes, decoded of any transfer or content coding, in the order sent.
    """

    headers: Mapping[str, str]
    length: int | None
    chunks: AsyncIterator[bytes]


class Source(ABC):
    """A remote system that holds documents for us.

    Any method may raise RetryableError (worth trying again; retry_after if the source said so),
    SignInRefused or SourceError. Methods run concurrently; nothing is kept beyond close().
    """

    name: str
    #: The section of the configuration that it was opened from.
    settings: Any
    #: Outcomes that acknowledge() takes at once.
    ack_batch: int = 1
    #: How patiently its passing failures are tried again.
    retries: RetryPolicy = RetryPolicy()

    @abstractmethod
    def list(self, config: Any) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield what waits to be fetched, a page at a time: one walk over the whole list.

        The walk may show an entry twice and may miss one where the list shifts meanwhile:
        whoever calls repeats it until a walk shows nothing new with nothing in flight.
        An entry that stays unacknowledged is shown by a later walk, so none is ever lost.
        A part of the list that can't be read keeps none of the others from being shown: its
        SourceError is raised when they have been.

        config: the configuration in force, for the companies to ask for.
        """

    @abstractmethod
    def backlog(self) -> int | None:
        """How many documents wait by the latest walk, as far as it has got; None if it can't say.

        Nothing is asked of the remote system for it.
        """

    @abstractmethod
    def fetch(self, entry: Entry, media_type: str = "") -> AbstractAsyncContextManager[Incoming]:
        """Ask for one document, or for another form of it by its media type.

        Rejected if the source no longer has it, or not in that form.
        """

    @abstractmethod
    async def acknowledge(self, outcomes: Sequence[Outcome]) -> None:
        """Tell the source what became of its documents: at most ack_batch of them.

        When this returns the source has taken all of them. When it raises it has taken any
        number, and all may be told again: an acknowledgement is idempotent.
        """

    @abstractmethod
    async def check(self, config: Any) -> str:
        """Sign in and read the first page; return in a sentence what was found."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of every connection. Nothing is called afterwards."""
