"""Door: what the two doors of Billit have in common, for the source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from typing import Protocol, TypeVar

from pipeline.errors import SourceError
from pipeline.source import Entry
from pipeline.traits import Traits
from stages.settings import Config, Member
from stages.sources.billit.parties import Place
from stages.sources.billit.settings import Billit
from stages.sources.http.left_out import LeftOut

T = TypeVar("T")


class NotThere(SourceError):
    """There is nothing at an address."""

    reason = "there is nothing at this address (404)"
    remedy = "Check url of the source"


class Api(Protocol):
    """What a door needs of the source; see there."""

    name: str
    settings: Billit

    async def ask(
        self,
        path: str,
        what: str,
        party: str,
        read: Callable[[bytes], T],
        query: dict[str, str] | None = None,
        pause: float = 0.0,
    ) -> T:
        """GET what is no document."""

    async def post(self, path: str, what: str, body: object) -> None:
        """POST as one's own party."""


class Door(ABC):
    """A list of documents. shown: how many the latest walk has shown, None before the first one."""

    traits: Traits
    shown: int | None = None

    @abstractmethod
    def pages(
        self,
        config: Config,
        members: Sequence[Member],
        left_out: LeftOut,
        only: Collection[str] | None = None,
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """Walk over the list once; as `Source.list`, and `Source.only`."""

    @abstractmethod
    async def shown_since(self, place: Place, since: float) -> Collection[str] | None:
        """The items that the list shows which shows a document, as read after a moment.

        since: by time.monotonic(). None if the list may not be read again yet.
        """

    @abstractmethod
    def shows_all(self, place: Place) -> bool:
        """Whether the list that would show a document was read, and shows all that it holds."""

    @abstractmethod
    def confirmed(self, place: Place) -> None:
        """Note that a document has left its list."""

    @abstractmethod
    async def check(self, members: Sequence[Member]) -> str:
        """Look at the list without a walk; what was found, as a part of a sentence."""
