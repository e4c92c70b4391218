"""Delivery plan: the folder and the preferred name of a document, from its configuration."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from pipeline.document import Document, Key
from pipeline.ledger.details import Details, encoded
from pipeline.ledger.models import Staged
from stages.kind import Kind
from stages.model import Classified
from stages.naming.names import file_name
from stages.settings import Delivery, destination


class Plan(Struct, frozen=True):
    """A document, the folder it goes to, and its preferred name there."""

    document: Document[Classified]
    folder: Path
    name: str

    @property
    def key(self) -> Key:
        """The key of the document."""
        return self.document.key

    @property
    def label(self) -> str:
        """The label under which the user knows the document."""
        return self.document.entry.label

    @property
    def target(self) -> Path:
        """The preferred path. The ledger may allocate an alternative name."""
        return self.folder / self.name

    @property
    def sidecars(self) -> tuple[str, ...]:
        """The extensions of its sidecars."""
        return tuple(one.extension for one in self.document.sidecars)

    @property
    def delivery(self) -> Delivery:
        """The section [delivery] of the configuration in force when it was listed."""
        return self.document.meta.listed.config.delivery


def plan_of(document: Document[Classified]) -> Plan:
    """Make the plan for a document."""
    meta = document.meta
    config = meta.listed.config
    statement = meta.kind is Kind.STATEMENT
    template = config.delivery.statement_name if statement else config.delivery.invoice_name
    variables = {
        "issue_date": meta.issue_date,
        "document_number": meta.number,
        "counterparty": meta.counterparty,
        "kind": meta.kind.value,
        "id": meta.listed.id or document.key.id,
        "account": meta.account,
        "enterprise_name": meta.company.name,
        "enterprise_identifier": meta.company.identifier,
        "accounting_file_id": meta.company.accounting_file_id,
    }
    by_hand = meta.listed.by_hand
    if by_hand is not None and by_hand.folder is not None:
        folder = by_hand.folder
    else:
        folder = destination(config.delivery, meta.company, meta.kind.destination_key)
    return Plan(document, folder, file_name(template, variables, meta.extension))


def staged_row(plan: Plan, staged: str, first: int) -> Staged:
    """What the ledger records of a document whose temporary file is `staged`.

    first: the number of the first alternative of its name that no file on the disk has.
    """
    document, meta = plan.document, plan.document.meta
    assert document.payload is not None
    fingerprint = meta.fingerprint
    # Within company and kind: an invoice between two configured companies is delivered to both.
    scope = (meta.company.identifier, meta.kind.value)
    return Staged(
        key=plan.key,
        staged=staged,
        sidecars=plan.sidecars,
        path=os.path.join(str(plan.folder), plan.name),  # noqa: PTH118 - a fifth of the time
        first=first,
        company=meta.company.identifier,
        kind=meta.kind.value,
        sha256=document.fetched,
        size=document.payload.size,
        checksum=meta.checksum or "structure",
        warnings="\n".join(meta.warnings),
        verified_at=meta.verified_at,
        identity=fingerprint.hash(*scope),
        marks=fingerprint.marks,
        number_hash=fingerprint.number_hash(*scope),
        # What a person has asked for comes also where it was delivered before.
        may_repeat=plan.delivery.duplicates == "deliver" or meta.listed.by_hand is not None,
        details=_details(document.key, meta),
    )


def _details(key: Key, meta: Classified) -> str:
    """What the ledger keeps for people of what the document says of itself."""
    id_ = meta.listed.id
    return encoded(
        Details(
            meta.number,
            meta.counterparty,
            meta.issue_date,
            meta.amount,
            meta.currency,
            "" if key.id == id_ or key.id.endswith(f"/{id_}") else id_,
            meta.account,
            meta.reason,
        )
    )
