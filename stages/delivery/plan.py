"""Plans where a document goes: its folder and the name that it would like, by its configuration."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from pipeline.document import Document, Key
from pipeline.ledger.models import Staged
from stages.classify import Classified
from stages.delivery.names import file_name
from stages.list import Kind
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
    def companions(self) -> tuple[str, ...]:
        """The extensions of the files that go beside it."""
        return tuple(one.extension for one in self.document.companions)

    @property
    def delivery(self) -> Delivery:
        """The part of its configuration that says how it is delivered."""
        return self.document.facts.listed.config.delivery


def plan_of(document: Document[Classified]) -> Plan:
    """Where a document goes."""
    facts = document.facts
    config = facts.listed.config
    statement = facts.kind is Kind.STATEMENT
    template = config.delivery.statement_name if statement else config.delivery.invoice_name
    variables = {
        "issue_date": facts.issue_date,
        "document_number": facts.number,
        "counterparty": facts.counterparty,
        "kind": facts.kind.value,
        "id": document.key.id.partition("/")[2],
        "account": facts.account,
        "enterprise_name": facts.company.name,
        "enterprise_identifier": facts.company.identifier,
        "accounting_file_id": facts.company.accounting_file_id,
    }
    folder = destination(config.delivery, facts.company, facts.kind.path)
    return Plan(document, folder, file_name(template, variables, facts.extension))


def staged_row(plan: Plan, staged: Path, first: int) -> Staged:
    """What the ledger is to record of a document whose temporary file lies at `staged`.

    first: the number of the first alternative of its name that nothing on the disk has.
    """
    document, facts = plan.document, plan.document.facts
    assert document.payload is not None
    identity = facts.identity
    # An invoice between two of our companies is delivered to both.
    whose = (facts.company.identifier, facts.kind.value)
    return Staged(
        key=plan.key,
        staged=str(staged),
        companions=plan.companions,
        path=str(plan.target),
        first=first,
        company=facts.company.identifier,
        kind=facts.kind.value,
        sha256=document.fetched,
        size=document.payload.size,
        checksum=facts.checksum or "structure",
        warnings="\n".join(facts.warnings),
        verified_at=facts.verified_at,
        identity=identity.hash(*whose) if identity else None,
        number_hash=identity.number_hash(*whose) if identity else None,
        may_repeat=plan.delivery.duplicates == "deliver",
    )
