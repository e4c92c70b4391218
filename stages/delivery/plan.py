"""Plans where a document goes: its folder and the name that it would like, by its configuration."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from pipeline.document import Document, Key
from pipeline.ledger.models import Staged
from stages.model import Classified, Kind
from stages.naming.names import file_name
from stages.settings import Delivery, destination


class Plan(Struct, frozen=True):
    """A document, and where it is meant to stand."""

    document: Document[Classified]
    folder: Path
    name: str

    @property
    def key(self) -> Key:
        """The document's."""
        return self.document.key

    @property
    def label(self) -> str:
        """The document, as its owner knows it."""
        return self.document.entry.label

    @property
    def target(self) -> Path:
        """The path that it would like."""
        return self.folder / self.name

    @property
    def sidecars(self) -> tuple[str, ...]:
        """The extensions of the files that go beside it."""
        return tuple(one.extension for one in self.document.sidecars)

    @property
    def delivery(self) -> Delivery:
        """The part of its configuration that says how it is delivered."""
        return self.document.meta.listed.config.delivery


def plan_of(document: Document[Classified]) -> Plan:
    """Where a document goes."""
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
    folder = destination(config.delivery, meta.company, meta.kind.path)
    return Plan(document, folder, file_name(template, variables, meta.extension))


def staged_row(plan: Plan, staged: Path, first: int) -> Staged:
    """What the ledger is to record of a document whose temporary file lies at `staged`.

    first: the number of the first alternative of its name that nothing on the disk has.
    """
    document, meta = plan.document, plan.document.meta
    assert document.payload is not None
    print_ = meta.fingerprint
    # An invoice between two of our companies is delivered to both.
    whose = (meta.company.identifier, meta.kind.value)
    return Staged(
        key=plan.key,
        staged=str(staged),
        sidecars=plan.sidecars,
        path=str(plan.target),
        first=first,
        company=meta.company.identifier,
        kind=meta.kind.value,
        sha256=document.fetched,
        size=document.payload.size,
        checksum=meta.checksum or "structure",
        warnings="\n".join(meta.warnings),
        verified_at=meta.verified_at,
        identity=print_.hash(*whose) if print_ else None,
        number_hash=print_.number_hash(*whose) if print_ else None,
        may_repeat=plan.delivery.duplicates == "deliver",
    )
