"""Shared model: what each stage finds out about a document.

Each stage takes a document scope `meta` is the type before it and returns one scope `meta` is its
own: Listed > Fetched > Verified > Classified. All of them are immutable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from pipeline.note import Note
from pipeline.source import Announced
from stages.formats.content import Content
from stages.kind import Kind
from stages.settings import Company, Config


class ByHand(Struct, frozen=True):
    """What a person has decided of a document, in place of its content and of the list.

    folder: where it is delivered; None for the destination of company and kind. reason: why it is
    of this company and kind. as_is: whether its bytes were vouched for already, so that nothing in
    them keeps it from being delivered.
    """

    company: Company
    kind: Kind
    reason: str
    folder: Path | None = None
    as_is: bool = True


class Listed(Struct, frozen=True):
    """What the list of a source says of a document: hints that may be absent or wrong.

    config: the configuration in force when it was listed; the document finishes under it.
    id: what the source itself calls the document, for the [id] of file names.
    kind: as the list says. company: the configured identifier (`Company.identifier`) of the company
    in whose mailbox it lay. issue_date: ISO 8601. size: bytes. sha256: as the list spells it.
    by_hand: what a person has decided of it; None of nearly all.
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
    by_hand: ByHand | None = None

    @property
    def hints(self) -> Mapping[str, str]:
        """What the quarantine is to keep of it, so that the document can be tried again."""
        return {
            "id": self.id,
            "kind": self.kind or "",
            "company": self.company or "",
            "number": self.number,
            "issue_date": self.issue_date,
            "counterparty": self.counterparty,
            "media_type": self.media_type,
            "sha256": self.sha256 or "",
        }


class Fetched(Struct, frozen=True):
    """A document whose bytes have arrived. announced: what its source states of them."""

    listed: Listed
    announced: Announced


class Verified(Struct, frozen=True):
    """What is known of a document once it is verified to be whole and harmless.

    content: what it says of itself. checksum: the name of the one that agreed, "" if none could be
    checked. warnings: problems that don't keep it from being delivered. media_type: as its source
    states it. verified_at: seconds since 1970.
    """

    listed: Listed
    content: Content
    checksum: str
    warnings: tuple[str, ...]
    media_type: str
    verified_at: float


class Fingerprint(Struct, frozen=True):
    """What makes a document the same as another one, in whatever format and by whatever route.

    parts: equal for documents that may be the same. marks: what tells such documents apart, as
    the ledger compares them. numbered: who issued it and its number; () if that is not known.
    """

    parts: tuple[str, ...]
    marks: str = ""
    numbered: tuple[str, ...] = ()

    def hash(self, *scope: str) -> int:
        """Return 63 bits that are equal only for documents that may be the same.

        scope: company and kind, so that only documents of the same ones are compared.
        """
        return _digest(*scope, *self.parts)

    def number_hash(self, *scope: str) -> int | None:
        """Return 63 bits that are equal if issuer and number are; scope: as in hash()."""
        return _digest(*scope, *self.numbered) if self.numbered else None


class Classified(Struct, frozen=True):
    """What is known of a document once it is classified; render and write work with it.

    format: of its content, for example "ubl-invoice". issue_date: ISO 8601. counterparty: the name
    of the other party. account: the IBAN or number of a statement. reason: why it is of this kind
    and company. extension: of its file, without a dot. checksum, warnings, verified_at: as in
    Verified. fingerprint: by which the same document is recognised when it comes again. notes: what
    it says of other documents, for the ledger. amount: payable, in the ledger's spelling; currency:
    ISO 4217.
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
    fingerprint: Fingerprint
    notes: tuple[Note, ...] = ()
    amount: str = ""
    currency: str = ""


def _digest(*parts: str) -> int:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
