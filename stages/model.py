"""Model: the words that all stages share, and what each stage finds out about a document."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from msgspec import Struct

from pipeline.source import Announced
from stages.settings import Company, Config


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
    id: what the source itself calls the document, for the [id] of file names.
    kind: the list's own word. company: the configured identifier of the company whose mailbox
    it came from (`Company.identifier`). issue_date: ISO 8601. size: bytes. sha256: hexadecimal.
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
    """That the document is whole, and what says so.

    checksum: which one vouches for it, "" if it came with none. warnings: what is odd about it
    all the same. media_type: as the answer says. verified_at: seconds since 1970.
    """

    listed: Listed
    checksum: str
    warnings: tuple[str, ...]
    media_type: str
    verified_at: float


class Fingerprint(Struct, frozen=True):
    """Of an invoice or a credit note.

    supplier: one of its identifiers, the same in every form. issue_date: ISO 8601. type_code:
    UNTDID 1001. total: without zeros behind; of a credit note without its sign, which some write
    and some leave out.
    """

    supplier: str
    number: str
    issue_date: str
    type_code: str
    total: str

    def hash(self, *whose: str) -> int:
        """63 bits that another document of the same company and kind has only if it is the same."""
        parts = (self.supplier, self.number, self.issue_date, self.type_code, self.total)
        return _digest(*whose, *parts)

    def number_hash(self, *whose: str) -> int:
        """63 bits that another document has if its supplier and its number are the same."""
        return _digest(*whose, self.supplier, self.number)


class Classified(Struct, frozen=True):
    """What is known of a document when it is written.

    issue_date: ISO 8601. counterparty: the other party's name. account: of a statement, its IBAN
    or number. extension: of its file's name, without a dot. checksum, verified_at: as in Verified.
    fingerprint: what makes an invoice one and the same by whichever route it comes.
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
