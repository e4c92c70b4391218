"""Classification rules: decide the kind and the company of a document, and give the reason.

If the supplier is a configured company, the document is a sale; if the customer is one, a purchase.
Where the content leaves several possibilities (both are, or a party contradicts itself), the
mailbox in which the document lay decides, then the kind in the list; if they don't, nobody does.
The list alone counts only if the content can't tell, which is so for a party without identifiers.
"""

from __future__ import annotations

from msgspec import structs

from pipeline.text import first_few, sanitized
from stages.formats.content import Answer, Bundle, Content, Invoice, Other, Statement
from stages.kind import Kind
from stages.matching.classification import Classification, ListHint, by_list
from stages.matching.evidence import Evidence, Weighed, evidence, is_among, named, weigh
from stages.matching.parties import CompanyIndex
from stages.matching.statements import explain_statement, statement_rules
from stages.settings import Company


def apply_rules(content: Content, index: CompanyIndex, hint: ListHint) -> Classification:
    """Classify a document by its content. index: the companies to which it may belong."""
    classification = _held_against_list(_by_content(content, index, hint), hint)
    return structs.replace(
        classification,
        reason=sanitized(classification.reason),
        warnings=tuple(first_few(classification.warnings)),
    )


def explain(content: Content, index: CompanyIndex, source: str = "") -> tuple[Evidence, ...]:
    """Return what in a document speaks for and against each company, for people."""
    match content:
        case Invoice():
            sides = ((Kind.SALES, content.supplier), (Kind.PURCHASE, content.customer))
            return tuple(
                structs.replace(one, candidate=f"{kind} of {one.candidate}")
                for kind, party in sides
                for one in evidence(weigh(party, index, source))
            )
        case Statement():
            return explain_statement(content, index, source)
        case Bundle():
            return tuple(one for part in content.parts for one in explain(part, index, source))
        case _:
            return ()


def _by_content(content: Content, index: CompanyIndex, hint: ListHint) -> Classification:
    match content:
        case Invoice():
            return _invoice(content, index, hint)
        case Statement():
            return statement_rules(content, index, hint)
        case Bundle():
            return _bundle(content, index, hint)
        case Answer():
            return Classification(Kind.UNKNOWN, "it answers another document")
        case Other():
            return _other(content, hint)


def _invoice(invoice: Invoice, index: CompanyIndex, hint: ListHint) -> Classification:
    supplier = weigh(invoice.supplier, index, hint.source)
    customer = weigh(invoice.customer, index, hint.source)
    supplier, customer = _without(supplier, customer), _without(customer, supplier)
    found = [
        _ours(what, element, weighed)
        for what, element, weighed in (
            ("supplier", invoice.supplier_element, supplier),
            ("customer", invoice.customer_element, customer),
        )
        if weighed.companies
    ]
    if not found:
        return _neither_ours(invoice, hint)
    options = [(Kind.SALES, one) for one in supplier.companies]
    options += [(Kind.PURCHASE, one) for one in customer.companies]
    silent = _listed_silent(invoice, hint)
    if silent is not None and not is_among(silent[1], [company for _, company in options]):
        options.append(silent)
        found.append(f"{by_list(*silent)}, and that party has no identifier")
    reason = ", ".join(found)
    strangers = [one for one in (supplier.stranger, customer.stranger) if one is not None]
    if len(options) == 1 and not strangers:
        ((kind, company),) = options
        return Classification(kind, reason, company)
    return _decided(options, bool(strangers), reason, hint)


def _without(weighed: Weighed, other: Weighed) -> Weighed:
    """Return a party without the company that the other party is: nobody invoices himself."""
    if not other.is_decided or len(weighed.companies) < 2:
        return weighed
    (company,) = other.companies
    left = tuple(one for one in weighed.companies if one.identifier != company.identifier)
    return structs.replace(weighed, companies=left)


def _ours(what: str, element: str, weighed: Weighed) -> str:
    """Return which configured company a party is, by which of its identifiers."""
    assert weighed.identifier is not None
    who = " or ".join(first_few([named(one) for one in weighed.companies]))
    said = f"the {what} ({element}) is {who} by its {weighed.identifier}"
    if weighed.stranger is not None:
        said += f", but its {weighed.stranger} is of no configured company"
    elif len(weighed.companies) > 1 and len({one.companies for one in weighed.clues}) > 1:
        said += f" ({_contradictions(weighed)})"
    return said


def _contradictions(weighed: Weighed) -> str:
    return "; ".join(
        first_few([f"{one.candidate}: {', '.join(one.supports)}" for one in evidence(weighed)])
    )


def _decided(
    options: list[tuple[Kind, Company]], is_contradicted: bool, reason: str, hint: ListHint
) -> Classification:
    """Decide among several possibilities by the mailbox, then by the kind in the list."""
    if hint.mailbox_owner is not None:
        owner = hint.mailbox_owner.identifier
        reason += f", the mailbox is that of {named(hint.mailbox_owner)}"
        options = [one for one in options if one[1].identifier == owner]
        is_contradicted = False
    if len(options) > 1 and hint.kind in {kind for kind, _ in options}:
        by_kind = [one for one in options if one[0] is hint.kind]
        if len(by_kind) == 1:
            reason += f", and the list calls it {hint.kind}"
            options = by_kind
    if len(options) == 1 and not is_contradicted:
        kind, company = options[0]
        return Classification(kind, reason, company)
    return Classification(Kind.UNKNOWN, f"{reason}, and nothing says which of them it is")


def _neither_ours(invoice: Invoice, hint: ListHint) -> Classification:
    found = f"supplier {invoice.supplier}, customer {invoice.customer}"
    if silent := _listed_silent(invoice, hint):
        kind, company = silent
        reason = f"{by_list(*silent)}, because that party has no identifier: {found}"
        return Classification(kind, reason, company)
    return Classification(
        Kind.UNKNOWN, f"no party is a configured company by any identifier: {found}"
    )


def _listed_silent(invoice: Invoice, hint: ListHint) -> tuple[Kind, Company] | None:
    """Return what the list says of an invoice, None unless that side of it is silent."""
    side = {Kind.SALES: invoice.supplier, Kind.PURCHASE: invoice.customer}
    if hint.mailbox_owner is None or hint.kind not in side or side[hint.kind].has_identifier:
        return None
    return hint.kind, hint.mailbox_owner


def _bundle(bundle: Bundle, index: CompanyIndex, hint: ListHint) -> Classification:
    """Classify a file with several documents: it has an owner if all of them have the same."""
    parts = [_by_content(part, index, hint) for part in bundle.parts]
    owners = {(one.kind, one.company.identifier if one.company else "") for one in parts}
    reasons = list(dict.fromkeys(one.reason for one in parts))
    if len(owners) == 1 and parts[0].company is not None:
        warnings = tuple(warning for one in parts for warning in one.warnings)
        return structs.replace(parts[0], reason="; ".join(first_few(reasons)), warnings=warnings)
    said = "; ".join(first_few(reasons))
    return Classification(
        Kind.UNKNOWN,
        f"it is {bundle.description} that are not all of one company and one kind: {said}",
    )


def _other(other: Other, hint: ListHint) -> Classification:
    if hint.kind in other.possible_kinds and hint.mailbox_owner is not None:
        listed = by_list(hint.kind, hint.mailbox_owner)
        reason = f"{listed}; it is {other.description} and names no party itself"
        return Classification(hint.kind, reason, hint.mailbox_owner)
    return Classification(Kind.UNKNOWN, f"it is {other.description}")


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
            f"it lay in the mailbox of {named(hint.mailbox_owner)} and belongs to {named(company)}"
        )
    return structs.replace(classification, warnings=(*classification.warnings, *warnings))
