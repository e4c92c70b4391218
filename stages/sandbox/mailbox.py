"""The mailbox: which documents it holds, for whom, and in which state each is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from msgspec import Struct

from stages.model import Kind
from stages.sandbox.companies import Company
from stages.sandbox.corpus import (
    NO_REVISION,
    Document,
    FileStock,
    InventedStock,
    Place,
    Revision,
    Stock,
)
from stages.sandbox.identity import Ids
from stages.sandbox.state_index import Shelf, State


class Page(Struct, frozen=True):
    """Some documents of a list with their states, and how many the list has in all."""

    documents: list[tuple[Document, State]]
    total: int


class Mailbox:
    """Documents of several companies; holds a byte of state for each, and makes it when asked."""

    def __init__(
        self, documents: int, companies: int = 3, seed: int = 1, *, stock: Stock | None = None
    ) -> None:
        """Hold so many documents: invented ones, the same for the same seed, or of a stock."""
        self.seed = seed
        self._stock = stock or InventedStock(companies, seed)
        self._ids = Ids(seed)
        self._shelves = {
            (kind, company): Shelf()
            for kind in self._stock.kinds
            for company in range(len(self._stock.companies))
        }
        self._documents = 0
        self._revisions: dict[int, Revision] = {}
        self.grow(documents)

    @classmethod
    def of_files(cls, folder: Path, company: str) -> Self:
        """Hold the files below a folder, as they are, as those of one company.

        company: its enterprise or VAT number in any spelling. Raises ConfigurationError.
        """
        stock = FileStock(folder, company)
        return cls(len(stock.files), stock=stock)

    def __len__(self) -> int:
        return self._documents

    def __iter__(self) -> Iterator[Document]:
        return (self._make(index) for index in range(len(self)))

    @property
    def companies(self) -> tuple[Company, ...]:
        """Whose documents it holds."""
        return tuple(self._stock.companies)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Which lists it has."""
        return tuple(self._stock.kinds)

    def grow(self, documents: int) -> None:
        """Receive so many more invented documents, while it is in use or not."""
        self._documents += documents
        for (kind, company), shelf in self._shelves.items():
            shelf.extend_to(self._stock.length(kind, company, self._documents))

    def find(self, id_: str) -> Document | None:
        """The document of an id, if there is one."""
        index = self._ids.index(id_)
        if index is None or index >= len(self):
            return None
        return self._make(index)

    def revise(self, id_: str, *, mute: bool = False) -> None:
        """Put another document under an id, to be fetched; once, a second time changes nothing.

        mute: whether its list doesn't tell that it is another one.
        """
        document = self.find(id_)
        if document is not None and document.index not in self._revisions:
            self._revisions[document.index] = Revision(1, mute)
            self.settle(document, State.TO_BE_FETCHED)

    def state(self, document: Document) -> State:
        """The state of a document."""
        place = self._stock.place(document.index)
        return self._shelves[place.kind, place.company].state(place.position)

    def settle(self, document: Document, state: State) -> None:
        """Put a document into a state."""
        place = self._stock.place(document.index)
        self._shelves[place.kind, place.company].settle(place.position, state)

    def page(
        self, kind: Kind, state: State | None, platform_id: str | None, start: int, count: int
    ) -> Page:
        """A part of the list of a kind: by company, then in the order of arrival.

        state, platform_id: only documents in this state, only of this company, unless None.
        """
        documents: list[tuple[Document, State]] = []
        total = 0
        for number, company in enumerate(self._stock.companies):
            shelf = self._shelves.get((kind, number))
            if shelf is None or platform_id not in (None, company.platform_id):
                continue
            skip = max(0, start - total)
            total += shelf.count(state)
            for position in shelf.select(state, skip, count - len(documents)):
                index = self._stock.index(Place(kind, number, position))
                documents.append((self._make(index), shelf.state(position)))
        return Page(documents, total)

    def _make(self, index: int) -> Document:
        revision = self._revisions.get(index, NO_REVISION)
        return self._stock.make(index, self._ids.of(index), revision)
