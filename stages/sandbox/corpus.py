"""Corpus: the documents of a mailbox, generated from a seed on demand, or files of a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from random import Random

from msgspec import Struct

from pipeline.errors import ConfigurationError
from stages.model import Kind
from stages.sandbox.companies import SERIALS, Company, invent_company, named_company
from stages.sandbox.invoices import Invoice, draw_invoice
from stages.sandbox.statements import Statement, draw_statement, to_coda
from stages.sandbox.ubl import to_ubl

#: So many companies send to those of the mailbox, buy from them and pay them.
COUNTERPARTIES = 200

#: The kinds of a company's documents, in turn.
CYCLE = tuple(
    {"P": Kind.PURCHASE, "S": Kind.SALES, "B": Kind.STATEMENT}[letter] for letter in "PSBPPSPBSP"
)

#: What a repository or a corpus says about its documents, and is none.
NOT_DOCUMENTS = {"manifest.json", "NOTICE.md"}

MEDIA_TYPES: dict[type, str] = {Invoice: "application/xml", Statement: "text/plain"}


class Place(Struct, frozen=True):
    """Where a document stands: the list, the company (its place among all), and how far down."""

    kind: Kind
    company: int
    position: int


class Revision(Struct, frozen=True):
    """Which content an id has, counted from zero. mute: whether the list keeps silent on it."""

    number: int = 0
    mute: bool = False


NO_REVISION = Revision()


class Document(Struct, frozen=True):
    """One document: what is known of it, and its content, not yet written out as bytes."""

    id: str
    index: int
    kind: Kind
    company: Company
    number: str
    content: Invoice | Statement | Path
    revision: Revision = NO_REVISION

    @property
    def media_type(self) -> str:
        """Of read()."""
        return MEDIA_TYPES.get(type(self.content), "application/octet-stream")

    def read(self) -> bytes:
        """The document as it was sent: UBL, CODA, or the file as it is."""
        match self.content:
            case Invoice() as invoice:
                return to_ubl(invoice)
            case Statement() as statement:
                return to_coda(statement)
            case path:
                return path.read_bytes()


class Corpus(ABC):
    """Numbered documents; which number is where is arithmetic, so it costs no memory."""

    kinds: Sequence[Kind]
    companies: Sequence[Company]

    @abstractmethod
    def place(self, index: int) -> Place:
        """Where a document stands."""

    @abstractmethod
    def index(self, place: Place) -> int:
        """Which document stands there."""

    @abstractmethod
    def length(self, kind: Kind, company: int, documents: int) -> int:
        """How many of so many documents stand in the list of a company."""

    @abstractmethod
    def make(self, index: int, id_: str, revision: Revision = NO_REVISION) -> Document:
        """Make a document: the same for the same index and revision, always."""


class GeneratedCorpus(Corpus):
    """Any number of documents, each made from the seed and its index alone.

    The companies take turns, and so do the kinds of each company's documents.
    """

    kinds = (Kind.PURCHASE, Kind.SALES, Kind.STATEMENT)

    def __init__(self, companies: int, seed: int) -> None:
        self._seed = seed
        self.companies = tuple(invent_company(seed, serial) for serial in range(companies))
        self._counterparties = tuple(
            invent_company(seed, SERIALS - 1 - serial) for serial in range(COUNTERPARTIES)
        )

    def place(self, index: int) -> Place:
        """Where a document stands."""
        serial, company = divmod(index, len(self.companies))
        cycles, step = divmod(serial, len(CYCLE))
        kind = CYCLE[step]
        return Place(kind, company, cycles * CYCLE.count(kind) + CYCLE[:step].count(kind))

    def index(self, place: Place) -> int:
        """Which document stands there."""
        steps = [step for step, kind in enumerate(CYCLE) if kind is place.kind]
        cycles, nth = divmod(place.position, len(steps))
        return (cycles * len(CYCLE) + steps[nth]) * len(self.companies) + place.company

    def length(self, kind: Kind, company: int, documents: int) -> int:
        """How many of so many documents stand in the list of a company."""
        own = -((company - documents) // len(self.companies))
        cycles, rest = divmod(own, len(CYCLE))
        return cycles * CYCLE.count(kind) + CYCLE[:rest].count(kind)

    def make(self, index: int, id_: str, revision: Revision = NO_REVISION) -> Document:
        """Make a document: the same for the same index and revision, always."""
        place = self.place(index)
        company = self.companies[place.company]
        again = f"/{revision.number}" if revision.number else ""
        rng = Random(f"{self._seed}/document/{index}{again}")
        if place.kind is Kind.STATEMENT:
            statement = draw_statement(rng, place.position, company, self._counterparties)
            return Document(id_, index, place.kind, company, statement.number, statement, revision)
        other = rng.choice(self._counterparties)
        supplier, customer = (other, company) if place.kind is Kind.PURCHASE else (company, other)
        invoice = draw_invoice(rng, index // len(self.companies) + 1, supplier, customer)
        return Document(id_, index, place.kind, company, invoice.number, invoice, revision)


class FileCorpus(Corpus):
    """The files below a folder, as they are, of one company; nothing says what they are.

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
        """Where a document stands."""
        return Place(Kind.UNKNOWN, 0, index)

    def index(self, place: Place) -> int:
        """Which document stands there."""
        return place.position

    def length(self, kind: Kind, company: int, documents: int) -> int:  # noqa: ARG002 - one list
        """How many of so many documents stand in the list of a company."""
        return documents

    def make(self, index: int, id_: str, revision: Revision = NO_REVISION) -> Document:
        """Make a document: the same for the same index and revision, always."""
        path = self.files[index]
        return Document(id_, index, Kind.UNKNOWN, self.companies[0], "", path, revision)
