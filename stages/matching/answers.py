"""Answers to invoices: finds the company that an answer is for, and decides what becomes of it."""

from __future__ import annotations

import structlog
from msgspec import Struct

from pipeline.errors import Noted, Rejected
from pipeline.note import Note, identity_of
from pipeline.text import FEW, NAME, first_few, sanitized
from stages.formats.content import Answer, Verdict
from stages.formats.party import Party
from stages.kind import Kind
from stages.matching.classification import ListHint
from stages.matching.evidence import named, weigh
from stages.matching.parties import CompanyIndex
from stages.model import Classified, Fingerprint, Verified
from stages.settings import Company

log = structlog.get_logger(__name__)


class Addressee(Struct, frozen=True):
    """The company that an answer concerns. company: None if it is of none that is configured.

    is_own: whether the company gives the answer, instead of getting it. other: the other party, as
    people know it.
    """

    company: Company | None
    is_own: bool
    other: str


def addressee(answer: Answer, index: CompanyIndex, hint: ListHint) -> Addressee:
    """Return the company whose invoice is answered: the receiver, as far as it can be identified.

    Where several companies share an identifier of the receiver, the mailbox singles one out. A
    Message Level Status goes from one service provider to another and names no company: it is for
    the mailbox's.
    """
    owner = hint.mailbox_owner
    if company := _is(index, answer.receiver, hint):
        return Addressee(company, False, _name(answer.sender))
    if company := _is(index, answer.sender, hint):
        return Addressee(company, True, _name(answer.receiver))
    return Addressee(owner, False, _name(answer.sender))


def settle(
    answer: Answer,
    verified: Verified,
    index: CompanyIndex,
    hint: ListHint,
    same: Fingerprint,
    label: str,
) -> Classified:
    """Apply `answers` of [delivery] to an answer, and return it classified if it is delivered.

    Noted if it is only recorded; Rejected if it is quarantined, or nobody knows whose it is and it
    was to be delivered. What the list calls it doesn't count. same: its fingerprint.
    """
    whose = addressee(answer, index, hint)
    rule = verified.listed.config.delivery.answers
    said = sentence(answer, whose)
    if rule == "quarantine":
        raise Rejected(label, said, 'With answers = "record" in [delivery] it is only noted')
    noted = _notes(answer, whose)
    _log(noted, label)
    if rule == "record":
        raise Noted(label, f'{said}, and answers = "record"', noted)
    if whose.company is None:
        raise Rejected(
            label,
            f"{said}, so nothing says into which folder it goes",
            'Add the company to [[companies]], or write answers = "record" in [delivery]',
        )
    return Classified(
        listed=verified.listed,
        kind=Kind.UNKNOWN,
        company=whose.company,
        format=answer.format,
        number=answer.answered or answer.number,
        issue_date=answer.issue_date or verified.listed.issue_date,
        counterparty=whose.other,
        account="",
        reason=said,
        extension=answer.extension,
        checksum=verified.checksum,
        warnings=verified.warnings,
        verified_at=verified.verified_at,
        fingerprint=same,
        notes=noted,
    )


def sentence(answer: Answer, whose: Addressee) -> str:
    """Return what an answer is and says, as the middle of a sentence."""
    company = named(whose.company) if whose.company else ""
    if whose.is_own:
        what = f"it is an answer that {company} itself gives to {whose.other}"
    else:
        what = f"it is an answer to {company or 'no configured company'} by {whose.other}"
    return sanitized(f"{what}: {'; '.join(first_few([_said(one) for one in answer.verdicts]))}")


def _notes(answer: Answer, whose: Addressee) -> tuple[Note, ...]:
    """Return what the ledger records of an answer; none of one that the company itself gives."""
    if whose.is_own:
        return ()
    company = whose.company.identifier if whose.company is not None else ""
    senders = [f"{one.scheme}:{one.value}" for one in answer.sender.identifiers]
    return tuple(
        Note(
            company=company,
            reference=sanitized(one.answered, NAME),
            party=whose.other,
            says=one.says,
            accepted=one.accepted,
            reason=one.reason,
            # Not by the answer's own number alone: some senders give all of them the same.
            identity=identity_of(
                company,
                answer.sender.name,
                *senders,
                answer.number,
                answer.issue_date,
                one.answered,
                one.answered_date,
                one.says,
                one.reason,
            ),
        )
        for one in answer.verdicts
    )


def _log(noted: tuple[Note, ...], label: str) -> None:
    for one in noted[:FEW]:
        log_ = log.warning if one.accepted is False else log.info
        log_(
            f"invoice {one.says}",
            document=label,
            company=one.company,
            invoice=one.reference,
            customer=one.party,
            reason=one.reason,
        )


def _is(index: CompanyIndex, party: Party, hint: ListHint) -> Company | None:
    """Return the company that a party is; of several that share its number, the mailbox's."""
    companies = weigh(party, index, hint.source).companies
    if len(companies) == 1:
        return companies[0]
    owner = hint.mailbox_owner
    return next((one for one in companies if owner and one.identifier == owner.identifier), None)


def _name(party: Party) -> str:
    """Return the name of a party or, if it has none, its first number."""
    numbers = [one.value for one in party.identifiers if not one.is_contact]
    return sanitized(party.name or next(iter(numbers), "") or "somebody unnamed", NAME)


def _said(verdict: Verdict) -> str:
    why = f" ({verdict.reason})" if verdict.reason else ""
    return f"{verdict.answered or 'a document without a number'} {verdict.says}{why}"
