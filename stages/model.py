"""Shared model: the kinds of documents, and what each stage finds out about a document.

Each stage takes a document scope `meta` is the type before it and returns one scope `meta` is its
own: Listed > Fetched > Verified > Classified. All of them are immutable.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from msgspec import Struct

from pipeline.source import Announced
from stages.settings import Company, Config


class Kind(StrEnum):
    """The kind of a document, which decides its destination."""

    PURCHASE = "purchase"
    SALES = "sales"
    STATEMENT = "statement"
    UNKNOWN = "unknown"

    @property
    def destination_key(self) -> str:
        """The key of [delivery] and [[companies]] that holds the destination of this kind."""
        return {
            "purchase": "purchases",
            "sales": "sales",
            "statement": "statements",
            "unknown": "others_path",
        }[self.value]


class Listed(Struct, frozen=True):
    """What the list of a source says of a document: hints that may be absent or wrong.

    config: the configuration in force when it was listed; the document finishes under it.
    id: what the source itself calls the document, for the [id] of file names.
    kind: as the list says. company: the configured identifier (`Company.identifier`) of the company
    in whose mailbox it lay. issue_date: ISO 8601. size: bytes. sha256: as the list spells it.
    """

    config: Config
    id: str = ""
    kind: Kind | None = None
    company: str | None = None
    number: str = ""
    issue_date: str = ""
    counterparty: str = ""
    media_type: str = ""
    size: int | None = None
    sha256: str | None = None


class Fetched(Struct, frozen=True):
    """A document whose bytes have arrived. announced: what its source states of them."""

    listed: Listed
    announced: Announced


class Verified(Struct, frozen=True):
    """What is known of a document once it is verified to be whole and harmless.

    checksum: the name of the one that agreed, "" if none could be checked. warnings: problems that
    don't keep it from being delivered. media_type: as its source states it. verified_at: seconds
    since 1970.
    """

    listed: Listed
    checksum: str
    warnings: tuple[str, ...]
    media_type: str
    verified_at: float


class Fingerprint(Struct, frozen=True):
    """Invoice fingerprint: equal for the same invoice or credit note in any format.

    supplier: one of its identifiers. issue_date: ISO 8601. type_code: UNTDID 1001. total: without
    trailing zeros; for a credit note without its sign, which only some senders write.
    """

    supplier: str
    number: str
    issue_date: str
    type_code: str
    total: str

    def hash(self, *scope: str) -> int:
        """Return 63 bits that are equal only for the same invoice.

        scope: company and kind, so that only documents of the same ones are compared.
        """
        parts = (self.supplier, self.number, self.issue_date, self.type_code, self.total)
        return _digest(*scope, *parts)

    def number_hash(self, *scope: str) -> int:
        """Return 63 bits that are equal if supplier and number are; scope: as in hash()."""
        return _digest(*scope, self.supplier, self.number)


class Classified(Struct, frozen=True):
    """What is known of a document once it is classified; render and write work with it.

    format: of its content, for example "ubl-invoice". issue_date: ISO 8601. counterparty: the name
    of the other party. account: the IBAN or number of a statement. reason: why it is of this kind
    and company. extension: of its file, without a dot. checksum, warnings, verified_at: as in
    Verified. fingerprint: of an invoice, if all that it takes is known.
    """

    listed: Listed
    kind: Kind
    company: Company
    format: str
    number: str
    issue_date: str
    counterparty: str
    account: str
    reason: str
    extension: str
    checksum: str
    warnings: tuple[str, ...]
    verified_at: float
    fingerprint: Fingerprint | None = None


def _digest(*parts: str) -> int:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
