"""Mailbox: which documents the sandbox holds, for which company, and the state of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Self

from msgspec import Struct

from stages.kind import Kind
from stages.sandbox.companies import Company
from stages.sandbox.corpus import (
    NO_REVISION,
    Corpus,
    Document,
    FileCorpus,
    GeneratedCorpus,
    Place,
    Revision,
)
from stages.sandbox.identity import Ids
from stages.sandbox.state_index import State, StateIndex


class Page(Struct, frozen=True):
    """Some documents of a list with their states, and how many the list has in all."""

    documents: list[tuple[Document, State]]
    total: int


class Mailbox:
    """Documents of several companies: a byte of state for each, and content made on demand."""

    def __init__(
        self,
        documents: int,
        companies: int = 3,
        seed: int = 1,
        *,
        corpus: Corpus | None = None,
        answers: bool = False,
        cycles: int = 0,
    ) -> None:
        """Hold this many documents: generated ones, the same for the same seed, or of a corpus.

        answers: whether every second sale that is generated is the answer to the one before it.
        cycles: how many of each company's cycles of documents have gone before.
        """
        self.seed = seed
        self._corpus = corpus or GeneratedCorpus(companies, seed, answers=answers, cycles=cycles)
        self._ids = Ids(seed)
        self._states = {
            (kind, company): StateIndex()
            for kind in self._corpus.kinds
            for company in range(len(self._corpus.companies))
        }
        self._documents = 0
        self._revisions: dict[int, Revision] = {}
        self.grow(documents)

    @classmethod
    def of_files(cls, folder: Path, company: str) -> Self:
        """Hold the files below a folder, unchanged, as the documents of one company.

        company: its enterprise or VAT number in any spelling. Raises ConfigurationError.
        """
        corpus = FileCorpus(folder, company)
        return cls(len(corpus.files), corpus=corpus)

    def __len__(self) -> int:
        return self._documents

    def __iter__(self) -> Iterator[Document]:
        return (self._make(index) for index in range(len(self)))

    def __getitem__(self, index: int) -> Document:
        """The document of a place in the order of arrival, from zero."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._make(index)

    @property
    def companies(self) -> tuple[Company, ...]:
        """The companies whose documents it holds."""
        return tuple(self._corpus.companies)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of documents, each of which has a list."""
        return tuple(self._corpus.kinds)

    def grow(self, documents: int) -> None:
        """Receive this many more generated documents; allowed while it is in use."""
        self._documents += documents
        for (kind, company), states in self._states.items():
            states.extend_to(self._corpus.length(kind, company, self._documents))

    def find(self, id_: str) -> Document | None:
        """The document of an id, if there is one."""
        index = self._ids.index(id_)
        if index is None or index >= len(self):
            return None
        return self._make(index)

    def revise(self, id_: str, *, mute: bool = False) -> None:
        """Put another document under an id, to be fetched. A second call changes nothing.

        mute: whether the list states no revision for the new content.
        """
        document = self.find(id_)
        if document is not None and document.index not in self._revisions:
            self._revisions[document.index] = Revision(1, mute)
            self.set_state(document, State.PENDING)

    def state(self, document: Document) -> State:
        """The state of a document."""
        place = self._corpus.place(document.index)
        return self._states[place.kind, place.company].state(place.position)

    def set_state(self, document: Document, state: State) -> None:
        """Put a document into a state."""
        place = self._corpus.place(document.index)
        self._states[place.kind, place.company].set_state(place.position, state)

    def page(
        self, kind: Kind, state: State | None, platform_id: str | None, start: int, count: int
    ) -> Page:
        """A part of the list of a kind: by company, then in the order of arrival.

        state, platform_id: only documents in this state, only of this company, unless None.
        """
        documents: list[tuple[Document, State]] = []
        total = 0
        for number, company in enumerate(self._corpus.companies):
            states = self._states.get((kind, number))
            if states is None or platform_id not in (None, company.platform_id):
                continue
            skip = max(0, start - total)
            total += states.count(state)
            for position in states.select(state, skip, count - len(documents)):
                index = self._corpus.index(Place(kind, number, position))
                documents.append((self._make(index), states.state(position)))
        return Page(documents, total)

    def oldest(
        self,
        state: State | None,
        count: int | None = None,
        *,
        platform_ids: Collection[str] | None = None,
        kinds: Collection[Kind] | None = None,
        since: int = 0,
    ) -> list[Document]:
        """The documents in a state by the order in which they arrived, at most count of them.

        state: None for all. platform_ids, kinds: only those of these companies, and of these kinds,
        unless None. since: only from this number of the order on.
        """
        indices: list[int] = []
        for (kind, number), states in self._states.items():
            company = self._corpus.companies[number]
            if platform_ids is not None and company.platform_id not in platform_ids:
                continue
            if kinds is not None and kind not in kinds:
                continue
            skipped = 0
            if since:
                earlier = self._corpus.length(kind, number, since)
                skipped = sum(state in (None, states.state(p)) for p in range(earlier))
            positions = states.select(state, skipped, len(states) if count is None else count)
            indices += [self._corpus.index(Place(kind, number, one)) for one in positions]
        return [self._make(index) for index in sorted(indices)[:count]]

    def _make(self, index: int) -> Document:
        revision = self._revisions.get(index, NO_REVISION)
        return self._corpus.make(index, self._ids.of(index), revision)
