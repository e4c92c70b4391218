"""Statement rules: decide whose a file of statements is, by accounts and holders of each of them.

Each statement in a file is weighed for itself, before they are compared: a file that holds
statements of several companies belongs to none of them.
"""

from __future__ import annotations

from msgspec import Struct, structs

from pipeline.text import NAME, enumerated, first_few, sanitized
from stages.formats.content import AccountStatement, Statement
from stages.formats.party import Party
from stages.kind import Kind
from stages.matching.classification import Classification, ListHint, by_list
from stages.matching.evidence import Evidence, is_among, named, weigh
from stages.matching.parties import CompanyIndex
from stages.settings import Company


class Owner(Struct, frozen=True):
    """Whose one statement is: the companies that it may be of, how that is known, and what isn't.

    companies: none if it is of no configured company. how: which account or number says so.
    header: the companies that its header names otherwise. is_silent: whether it has no holder
    that could be identified.
    """

    companies: tuple[Company, ...]
    how: str
    header: tuple[str, ...] = ()
    is_silent: bool = False


def statement_rules(statement: Statement, index: CompanyIndex, hint: ListHint) -> Classification:
    """Classify a file of statements: it has an owner if no statement in it has another one."""
    if not statement.parts:
        return Classification(Kind.UNKNOWN, "it holds no statement of account")
    if not all(part.accounts for part in statement.parts):
        return Classification(
            Kind.UNKNOWN, "it holds a statement whose account has no number, so it can't be booked"
        )
    return _compared(_owners(statement, index, hint.source), statement, hint)


def _owner(part: AccountStatement, index: CompanyIndex, source: str) -> Owner:
    """Return whose one statement is: an account in the configuration is surer than a header.

    A header may name another recipient of the file than the holder of the account.
    """
    party = Party(part.holder_name, part.holders)
    holder = weigh(party, index, source)
    by_holder = f"{holder.identifier} names" if holder.companies else ""
    for account in part.accounts:
        if not (companies := index.with_account(account, source)):
            continue
        agreed = tuple(one for one in companies if is_among(one, holder.companies))
        header = tuple(f"{by_holder} {named(one)}" for one in holder.companies if not agreed)
        how = f"its account {sanitized(account, NAME)} is one of"
        return Owner(agreed or companies, how, header)
    if holder.companies:
        return Owner(holder.companies, by_holder)
    return Owner((), _holder(part), is_silent=not party.has_identifier)


def _compared(owners: list[Owner], statement: Statement, hint: ListHint) -> Classification:
    """Compare the owners of all statements in a file."""
    known = [one for one in owners if one.companies]
    unknown = [one for one in owners if not one.companies]
    if not known:
        return _nobody(unknown, statement, hint)
    companies = _settled(known, hint)
    reason = ", ".join(first_few(list(dict.fromkeys(map(_told, known)))))
    mailbox = hint.mailbox_owner
    # A statement of an account that is not configured may be its mailbox's, unless it says whose.
    strange = [one for one in unknown if not one.is_silent] or (
        unknown if mailbox is not None and mailbox.identifier not in companies else []
    )
    if len(companies) == 1 and not strange:
        (company,) = companies.values()
        warnings = [warning for one in known for warning in one.header]
        warnings += [f"it also holds a statement of {one.how}" for one in unknown]
        return Classification(Kind.STATEMENT, reason, company, tuple(dict.fromkeys(warnings)))
    if strange:
        said = "; ".join(first_few([f"{one.how}, which is not configured" for one in strange]))
        reason = f"{reason}; {said}"
    several = "it holds statements of several companies"
    if len(known) == 1 and not strange:
        several = "its account or holder is one that several companies have"
    return Classification(Kind.UNKNOWN, f"{several}: {reason}")


def explain_statement(
    statement: Statement, index: CompanyIndex, source: str
) -> tuple[Evidence, ...]:
    """Return which accounts and numbers speak for and against each company."""
    owners = _owners(statement, index, source)
    return tuple(
        Evidence(
            f"statement of {named(company)}",
            supports=tuple(
                first_few([_told(one) for one in owners if is_among(company, one.companies)])
            ),
            contradicts=tuple(
                first_few([_told(one) for one in owners if not is_among(company, one.companies)])
            ),
        )
        for company in _all(owners).values()
    )


def _told(owner: Owner) -> str:
    if not owner.companies:
        return f"{owner.how}, of no configured company"
    return f"{owner.how} {' or '.join(first_few(list(map(named, owner.companies))))}"


def _owners(statement: Statement, index: CompanyIndex, source: str) -> list[Owner]:
    """Return the owner of each statement; many statements of one account are one question."""
    found = {(part.accounts, part.holders): _owner(part, index, source) for part in statement.parts}
    return list(found.values())


def _settled(known: list[Owner], hint: ListHint) -> dict[str, Company]:
    """Return the companies that statements are of; the mailbox settles a shared account."""
    decided = _all([one for one in known if len(one.companies) == 1])
    for one in known:
        if len(one.companies) < 2 or any(it.identifier in decided for it in one.companies):
            continue
        mailbox = hint.mailbox_owner
        its = [it for it in one.companies if mailbox and it.identifier == mailbox.identifier]
        decided |= {it.identifier: it for it in its or one.companies}
    return decided


def _nobody(unknown: list[Owner], statement: Statement, hint: ListHint) -> Classification:
    if (
        all(one.is_silent for one in unknown)
        and hint.kind is Kind.STATEMENT
        and hint.mailbox_owner is not None
    ):
        reason = f"{by_list(hint.kind, hint.mailbox_owner)}, because its header names no holder"
        return Classification(Kind.STATEMENT, reason, hint.mailbox_owner)
    whole = structs.replace(
        statement.parts[0], accounts=statement.accounts, holders=statement.holders
    )
    return Classification(
        Kind.UNKNOWN, f"it is a statement of no configured company or account: {_holder(whole)}"
    )


def _all(owners: list[Owner]) -> dict[str, Company]:
    return {company.identifier: company for one in owners for company in one.companies}


def _holder(part: AccountStatement) -> str:
    numbers = enumerated([holder.value for holder in part.holders]) or "no number"
    accounts = enumerated(part.accounts)
    name = sanitized(part.holder_name, NAME) or "unnamed"
    return f"holder {name} ({numbers}), account {accounts}"
