"""Classification rules: decide the kind and the company of a document, and give the reason.

If the supplier is a configured company, the document is a sale; if the customer is one, a purchase;
if both are, the mailbox decides. The list counts only if the content can't tell, which is so for a
party without any identifier.
"""

from __future__ import annotations

from msgspec import Struct, structs

from pipeline.text import NAME, enumerated, first_few, sanitized
from stages.formats.content import Content, Invoice, Other, Statement
from stages.formats.party import Party
from stages.kind import Kind
from stages.matching.parties import CompanyIndex, Match
from stages.settings import Company


class ListHint(Struct, frozen=True):
    """What the list says of a document, which may be wrong.

    mailbox_owner: the company in whose mailbox it lay. source: the name of the source.
    """

    kind: Kind | None = None
    mailbox_owner: Company | None = None
    source: str = ""


class Classification(Struct, frozen=True):
    """The result of the rules: the kind of a document, its company, and the reason.

    reason: a sentence without its full stop. company: None if and only if the kind is unknown.
    warnings: how list or header disagree with it.
    """

    kind: Kind
    reason: str
    company: Company | None = None
    warnings: tuple[str, ...] = ()


def apply_rules(content: Content, index: CompanyIndex, hint: ListHint) -> Classification:
    """Classify a document by its content. index: the companies to which it may belong."""
    match content:
        case Invoice():
            classification = _invoice(content, index, hint)
        case Statement():
            classification = _statement(content, index, hint)
        case Other():
            classification = _other(content, hint)
    classification = _held_against_list(classification, hint)
    return structs.replace(
        classification,
        reason=sanitized(classification.reason),
        warnings=tuple(first_few(classification.warnings)),
    )


def _invoice(invoice: Invoice, index: CompanyIndex, hint: ListHint) -> Classification:
    supplier = _match(invoice.supplier, index, hint)
    customer = _match(invoice.customer, index, hint)
    supplies = f"the supplier ({invoice.supplier_element}) is {_ours(supplier)}" if supplier else ""
    buys = f"the customer ({invoice.customer_element}) is {_ours(customer)}" if customer else ""
    if supplier and customer:
        sides = {Kind.SALES: supplier.company, Kind.PURCHASE: customer.company}
        return _both_ours(sides, f"{supplies}, {buys}", hint)
    if supplier:
        return Classification(Kind.SALES, supplies, supplier.company)
    if customer:
        return Classification(Kind.PURCHASE, buys, customer.company)
    return _neither_ours(invoice, hint)


def _ours(match: Match) -> str:
    return f"{_name(match.company)} by its {match.identifier}"


def _match(party: Party, index: CompanyIndex, hint: ListHint) -> Match | None:
    return index.find(party.identifiers, hint.source, party.country)


def _both_ours(sides: dict[Kind, Company], both: str, hint: ListHint) -> Classification:
    if hint.mailbox_owner is not None:
        owner = hint.mailbox_owner.identifier
        both += f", the mailbox is that of {_name(hint.mailbox_owner)}"
        sides = {kind: one for kind, one in sides.items() if one.identifier == owner}
    if len(sides) > 1 and hint.kind in sides:
        both += f", and the list calls it {hint.kind}"
        sides = {hint.kind: sides[hint.kind]}
    if len(sides) == 1:
        kind, company = sides.popitem()
        return Classification(kind, both, company)
    return Classification(Kind.UNKNOWN, f"{both}, and nothing says which of the two it is")


def _neither_ours(invoice: Invoice, hint: ListHint) -> Classification:
    found = f"supplier {invoice.supplier}, customer {invoice.customer}"
    side = {Kind.SALES: invoice.supplier, Kind.PURCHASE: invoice.customer}
    if hint.mailbox_owner is not None and hint.kind in side and not side[hint.kind].has_identifier:
        listed = _by_list(hint.kind, hint.mailbox_owner)
        reason = f"{listed}, because that party has no identifier: {found}"
        return Classification(hint.kind, reason, hint.mailbox_owner)
    return Classification(
        Kind.UNKNOWN, f"no party is a configured company by any identifier: {found}"
    )


def _statement(statement: Statement, index: CompanyIndex, hint: ListHint) -> Classification:
    by_account = {
        f"its account {account} is one of": company
        for account in statement.accounts
        if (company := index.with_account(account, hint.source))
    }
    by_number = {
        f"{match.identifier} names": match.company
        for holder in statement.holders
        if (match := index.find([holder], hint.source))
    }
    # A header may name another recipient of the file: an account in the configuration is surer.
    found = by_account or by_number
    companies = {company.identifier: company for company in found.values()}
    reason = ", ".join(first_few([f"{how} {_name(company)}" for how, company in found.items()]))
    if len(companies) == 1:
        classification = Classification(Kind.STATEMENT, reason, companies.popitem()[1])
        return _held_against_header(classification, by_number)
    if companies:
        return Classification(Kind.UNKNOWN, f"it holds statements of several companies: {reason}")
    if not statement.holders and hint.kind is Kind.STATEMENT and hint.mailbox_owner is not None:
        reason = f"{_by_list(hint.kind, hint.mailbox_owner)}, because its header names no holder"
        return Classification(Kind.STATEMENT, reason, hint.mailbox_owner)
    return Classification(
        Kind.UNKNOWN, f"it is a statement of no configured company or account: {_holder(statement)}"
    )


def _other(other: Other, hint: ListHint) -> Classification:
    if hint.kind in other.possible_kinds and hint.mailbox_owner is not None:
        listed = _by_list(hint.kind, hint.mailbox_owner)
        reason = f"{listed}; it is {other.description} and names no party itself"
        return Classification(hint.kind, reason, hint.mailbox_owner)
    return Classification(Kind.UNKNOWN, f"it is {other.description}")


def _held_against_header(
    classification: Classification, by_number: dict[str, Company]
) -> Classification:
    assert classification.company is not None
    others = tuple(
        f"{how} {_name(company)}"
        for how, company in by_number.items()
        if company.identifier != classification.company.identifier
    )
    return structs.replace(classification, warnings=others)


def _held_against_list(classification: Classification, hint: ListHint) -> Classification:
    """The content decides; what the list says otherwise becomes a warning."""
    company = classification.company
    if company is None:
        return classification
    warnings = []
    if hint.kind not in (None, classification.kind):
        warnings.append(f"the list calls it {hint.kind}, its content {classification.kind}")
    if hint.mailbox_owner is not None and hint.mailbox_owner.identifier != company.identifier:
        warnings.append(
            f"it lay in the mailbox of {_name(hint.mailbox_owner)} and belongs to {_name(company)}"
        )
    return structs.replace(classification, warnings=(*classification.warnings, *warnings))


def _by_list(kind: Kind, owner: Company) -> str:
    return f"the list calls it {kind} of {_name(owner)}"


def _name(company: Company) -> str:
    return f"{company.name} ({company.identifier})"


def _holder(statement: Statement) -> str:
    numbers = enumerated([holder.value for holder in statement.holders]) or "no number"
    accounts = enumerated(statement.accounts)
    name = sanitized(statement.holder_name, NAME) or "unnamed"
    return f"holder {name} ({numbers}), account {accounts}"
