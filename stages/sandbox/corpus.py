"""Corpus: the documents of a mailbox, generated from a seed on demand, or files of a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from random import Random

from msgspec import Struct, structs

from pipeline.errors import ConfigurationError
from stages.kind import Kind
from stages.sandbox.answers import Answer, draw_answer, to_application_response
from stages.sandbox.companies import SERIALS, Company, invent_company, named_company
from stages.sandbox.invoices import Invoice, draw_invoice
from stages.sandbox.statements import Statement, draw_statement, to_coda
from stages.sandbox.ubl import to_ubl

#: Number of companies that trade with those of the mailbox.
COUNTERPARTIES = 200

#: The kinds of a company's documents, in turn.
CYCLE = tuple(
    {"P": Kind.PURCHASE, "S": Kind.SALES, "B": Kind.STATEMENT}[letter] for letter in "PSBPPSPBSP"
)

#: Files of a folder that describe its documents and are none.
NOT_DOCUMENTS = {"manifest.json", "NOTICE.md"}

MEDIA_TYPES: dict[type, str] = {
    Invoice: "application/xml",
    Answer: "application/xml",
    Statement: "text/plain",
}


class Place(Struct, frozen=True):
    """The place of a document: its list, the number of its company, its position there."""

    kind: Kind
    company: int
    position: int


class Revision(Struct, frozen=True):
    """The content of an id, counted from zero. mute: whether the list does not state it."""

    number: int = 0
    mute: bool = False


NO_REVISION = Revision()


class Document(Struct, frozen=True):
    """One document. content: written out as bytes on demand, by read()."""

    id: str
    index: int
    kind: Kind
    company: Company
    number: str
    content: Invoice | Answer | Statement | Path
    revision: Revision = NO_REVISION

    @property
    def media_type(self) -> str:
        """The media type of what read() gives."""
        return MEDIA_TYPES.get(type(self.content), "application/octet-stream")

    def read(self) -> bytes:
        """The bytes of the document: UBL, CODA, or the file unchanged."""
        match self.content:
            case Answer() as answer:
                return to_application_response(answer)
            case Invoice() as invoice:
                return to_ubl(invoice)
            case Statement() as statement:
                return to_coda(statement)
            case path:
                return path.read_bytes()


class Corpus(ABC):
    """Numbered documents; places are computed from the numbers, which costs no memory."""

    kinds: Sequence[Kind]
    companies: Sequence[Company]

    @abstractmethod
    def place(self, index: int) -> Place:
        """The place of a document."""

    @abstractmethod
    def index(self, place: Place) -> int:
        """The index of the document at a place."""

    @abstractmethod
    def length(self, kind: Kind, company: int, documents: int) -> int:
        """How many of the first `documents` documents are in the list of a company."""

    @abstractmethod
    def make(self, index: int, id_: str, revision: Revision = NO_REVISION) -> Document:
        """Make a document; the same index and revision always give the same one."""


class GeneratedCorpus(Corpus):
    """Any number of documents, each generated from the seed and its index alone.

    The companies take turns, and so do the kinds of each company's documents.
    """

    kinds = (Kind.PURCHASE, Kind.SALES, Kind.STATEMENT)

    def __init__(
        self, companies: int, seed: int, *, answers: bool = False, cycles: int = 0
    ) -> None:
        """Make the companies.

        answers: whether every second sale is the customer's answer to the one before it. cycles:
        how many of CYCLE each company has had already, so that two corpora of one seed may have
        some documents in common.
        """
        self._seed = seed
        self._first = cycles * len(CYCLE) * companies
        self._answers = answers
        self.companies = tuple(invent_company(seed, serial) for serial in range(companies))
        self._counterparties = tuple(
            invent_company(seed, SERIALS - 1 - serial) for serial in range(COUNTERPARTIES)
        )

    def place(self, index: int) -> Place:
        """The place of a document."""
        serial, company = divmod(index, len(self.companies))
        cycles, step = divmod(serial, len(CYCLE))
        kind = CYCLE[step]
        return Place(kind, company, cycles * CYCLE.count(kind) + CYCLE[:step].count(kind))

    def index(self, place: Place) -> int:
        """The index of the document at a place."""
        steps = [step for step, kind in enumerate(CYCLE) if kind is place.kind]
        cycles, nth = divmod(place.position, len(steps))
        return (cycles * len(CYCLE) + steps[nth]) * len(self.companies) + place.company

    def length(self, kind: Kind, company: int, documents: int) -> int:
        """How many of the first `documents` documents are in the list of a company."""
        own = -((company - documents) // len(self.companies))
        cycles, rest = divmod(own, len(CYCLE))
        return cycles * CYCLE.count(kind) + CYCLE[:rest].count(kind)

    def make(self, index: int, id_: str, revision: Revision = NO_REVISION) -> Document:
        """Make a document; the same index and revision always give the same one."""
        drawn = self._first + index
        place = self.place(drawn)
        company = self.companies[place.company]
        again = f"/{revision.number}" if revision.number else ""
        if self._answers and place.kind is Kind.SALES and place.position % 2:
            before = self.index(structs.replace(place, position=place.position - 1))
            sale = self.make(before - self._first, "")
            assert isinstance(sale.content, Invoice)
            rng = Random(f"{self._seed}/answer/{drawn}{again}")
            answer = draw_answer(rng, f"IR{drawn + 1:07}{again}", sale.content)
            return Document(id_, index, place.kind, company, sale.number, answer, revision)
        rng = Random(f"{self._seed}/document/{drawn}{again}")
        if place.kind is Kind.STATEMENT:
            statement = draw_statement(rng, place.position, company, self._counterparties)
            return Document(id_, index, place.kind, company, statement.number, statement, revision)
        other = rng.choice(self._counterparties)
        supplier, customer = (other, company) if place.kind is Kind.PURCHASE else (company, other)
        invoice = draw_invoice(rng, drawn // len(self.companies) + 1, supplier, customer)
        return Document(id_, index, place.kind, company, invoice.number, invoice, revision)


class FileCorpus(Corpus):
    """The files below a folder, unchanged, as documents of unknown kind of one company.

    Names that begin with a dot, manifest.json and NOTICE.md are left out.
    """

    kinds = (Kind.UNKNOWN,)

    def __init__(self, folder: Path, company: str) -> None:
        """Raise ConfigurationError if there is no such folder."""
        if not folder.is_dir():
            raise ConfigurationError(
                str(folder), ["--corpus: there is no such folder; name one that holds documents"]
            )
        self.companies = (named_company(company),)
        self.files = sorted(
            path
            for path in folder.rglob("*")
            if path.is_file()
            and path.name not in NOT_DOCUMENTS
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        )

    def place(self, index: int) -> Place:
        """The place of a document."""
        return Place(Kind.UNKNOWN, 0, index)

    def index(self, place: Place) -> int:
        """The index of the document at a place."""
        return place.position

    def length(self, kind: Kind, company: int, documents: int) -> int:  # noqa: ARG002 - one list
        """How many of the first `documents` documents are in the list of a company."""
        return documents

    def make(self, index: int, id_: str, revision: Revision = NO_REVISION) -> Document:
        """Make a document; the same index and revision always give the same one."""
        path = self.files[index]
        return Document(id_, index, Kind.UNKNOWN, self.companies[0], "", path, revision)
