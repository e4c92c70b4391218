"""Classify stage (4 of 6): decides by its content what a document is and which company it is of."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from msgspec import Struct, structs

from pipeline.document import Document
from pipeline.errors import ConfigurationError, Rejected, Skipped
from pipeline.files import check_file, os_reason
from pipeline.payload import Payload
from stages.formats.content import Answer, Bundle, Content, Invoice, Other, Statement, Unreadable
from stages.formats.registry import read
from stages.kind import Kind
from stages.matching.answers import addressee, sentence, settle
from stages.matching.classification import Classification, ListHint
from stages.matching.evidence import Evidence, named
from stages.matching.fingerprint import fingerprint
from stages.matching.parties import CompanyIndex
from stages.matching.rules import apply_rules, explain
from stages.model import ByHand, Classified, Fingerprint, Listed, Verified
from stages.settings import Company, Config
from stages.values.accounts import account_number
from stages.values.amounts import same_amount
from stages.values.dates import iso_date
from stages.values.identifiers import company_identifier, iban

log = structlog.get_logger(__name__)

#: Bytes of a file for `synqup classify`: ten times the default of max_document_size.
MAX_FILE_SIZE = 500_000_000

#: Formats of what servers send instead of a document when something is wrong.
NO_DOCUMENT = {"html", "json", "soap", "empty"}
#: Formats of statements of account.
STATEMENTS = {"coda", "mt940", "camt.053"}
#: Formats of what is not recognised: it may be an invoice, so others = "skip" doesn't skip it.
UNRECOGNISED = {"unknown", "xml"}


class FileClassification(Struct, frozen=True):
    """What a file is and whose, and why: the result of `synqup classify`.

    company: the one that it belongs to, "" if none. evidence: for and against each candidate.
    """

    path: str
    kind: Kind
    company: str
    format: str
    number: str
    issue_date: str
    supplier: str
    customer: str
    reason: str
    warnings: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class Classify:
    """Classifies documents, each among the companies of its own configuration."""

    def __init__(self) -> None:
        self._latest: tuple[Config, CompanyIndex] | None = None

    async def process(self, document: Document[Verified]) -> Document[Classified]:
        """Classify one document.

        Rejected, with both parties in the reason, if it is of no configured company; Skipped if the
        configuration leaves it out; Noted if it is an answer to an invoice.
        """
        label, verified, payload = document.entry.label, document.meta, document.payload
        assert payload is not None
        listed, content = verified.listed, verified.content
        index, source = self._index(listed.config), document.key.source
        mailbox_owner = index.with_identifier(listed.company or "", source)
        hint = ListHint(listed.kind, mailbox_owner, source)
        same = fingerprint(content, payload.sha256, index.is_shared)
        if listed.by_hand is not None:
            return document.with_meta(_decided(listed.by_hand, verified, same))
        if isinstance(content, Answer):
            return document.with_meta(settle(content, verified, index, hint, same, label))
        classification = apply_rules(content, index, hint)
        if isinstance(content, Other):
            classification = _apply_others(content, classification, listed, mailbox_owner, label)
        if classification.company is None:
            raise Rejected(label, classification.reason, _remedy(content, listed))
        if classification.warnings:
            log.warning(
                "list and content disagree", document=label, why=list(classification.warnings)
            )
        return document.with_meta(
            _classified(verified, classification, classification.company, same)
        )

    def _index(self, config: Config) -> CompanyIndex:
        """Return the index of a configuration; it is kept, for the next document has the same."""
        latest = self._latest
        if latest is None or latest[0] is not config:
            self._latest = latest = (config, CompanyIndex(config.companies))
        return latest[1]


def _decided(by_hand: ByHand, verified: Verified, same: Fingerprint) -> Classified:
    """Classify a document as a person has decided."""
    decided = Classification(by_hand.kind, by_hand.reason, by_hand.company)
    return _classified(verified, decided, by_hand.company, same)


def _classified(
    verified: Verified, classification: Classification, company: Company, same: Fingerprint
) -> Classified:
    content, listed = verified.content, verified.listed
    total, currency = _total(content)
    return Classified(
        listed=listed,
        kind=classification.kind,
        company=company,
        format=content.format,
        number=_number(content) or listed.number,
        issue_date=_issue_date(content) or iso_date(listed.issue_date),
        counterparty=_counterparty(content, classification.kind) or listed.counterparty,
        account=_account(content),
        reason=classification.reason,
        extension=content.extension or _extension(verified.media_type),
        checksum=verified.checksum,
        warnings=verified.warnings + classification.warnings,
        verified_at=verified.verified_at,
        fingerprint=same,
        amount=total,
        currency=currency,
    )


def _apply_others(
    content: Other,
    classification: Classification,
    listed: Listed,
    mailbox_owner: Company | None,
    label: str,
) -> Classification:
    """Apply `others` of [delivery] to a document that is no invoice and no statement.

    The setting is for documents that are known to be something else: not for an error page that
    came instead of one. What is not recognised, or what the list calls an invoice or a statement
    and nobody could read, may be one: it may be delivered by the setting, and is never skipped.
    """
    others = listed.config.delivery.others
    if (
        classification.company is not None
        or others == "quarantine"
        or not _is_for_others(content, listed)
    ):
        return classification
    if others == "skip" and (
        content.format in UNRECOGNISED or (listed.kind is not None and not content.is_known)
    ):
        return classification
    if others == "skip":
        raise Skipped(label, f'{classification.reason}, and others = "skip"')
    if mailbox_owner is None:
        return structs.replace(
            classification,
            reason=f"{classification.reason}, and nothing says which company it is of",
        )
    return structs.replace(classification, company=mailbox_owner)


def _is_for_others(content: Other, listed: Listed) -> bool:
    """Whether `others` of [delivery] decides on a document."""
    return content.format not in NO_DOCUMENT and listed.kind not in content.possible_kinds


def _remedy(content: Content, listed: Listed) -> str:
    """Return what to do about a document that belongs to no company."""
    if isinstance(content, Other) and content.format in NO_DOCUMENT:
        return "Check on the platform whether the document is whole there: this came instead of it"
    if isinstance(content, Other) and _is_for_others(content, listed):
        return "Forward it by hand, or say with others in [delivery] what becomes of such documents"
    return "Add the company to [[companies]], or forward the document by hand"


def classify_file(path: Path, company: str) -> FileClassification:
    """Classify a file by its content alone, as a document of one company.

    company: its enterprise or VAT number, another identifier of it, or one of its IBANs.
    ConfigurationError if that is empty. A file that can't be read is of an unknown kind.
    """
    found = classify_among(path, [_company(company)])
    # An invoice has a kind only for its company; a statement is one whoever holds the account.
    is_statement = found.format in STATEMENTS
    return structs.replace(found, kind=Kind.STATEMENT) if is_statement else found


def classify_among(
    path: Path, companies: Sequence[Company], mailbox: str = ""
) -> FileClassification:
    """Classify a file among several companies.

    mailbox: the identifier of the company in whose mailbox it lay, "" if that is not known.
    """
    try:
        content = _read(Payload(check_file(path, MAX_FILE_SIZE), sha256="", spool=path))
    except OSError as error:
        content = Other("unknown", f"a file that can't be read: {os_reason(error)}")
    index = CompanyIndex(companies)
    hint = ListHint(mailbox_owner=index.with_identifier(mailbox, ""))
    classification = apply_rules(content, index, hint)
    if isinstance(content, Answer):
        whose = addressee(content, index, hint)
        classification = Classification(Kind.UNKNOWN, sentence(content, whose), whose.company)
    company = classification.company
    return FileClassification(
        path=str(path),
        kind=classification.kind,
        company=named(company) if company else "",
        format=content.format,
        number=_number(content),
        issue_date=_issue_date(content),
        supplier=str(content.supplier) if isinstance(content, Invoice) else "",
        customer=str(content.customer) if isinstance(content, Invoice) else "",
        reason=classification.reason,
        warnings=classification.warnings,
        evidence=explain(content, index),
    )


def _read(payload: Payload) -> Content:
    try:
        reading = read(payload)
    except Unreadable as error:
        return Other("unknown", f"a file that can't be read: {error}")
    if reading.content is None:
        return Other("unknown", f"a file that can't be read: {reading.problems[0]}")
    return reading.content


def _company(text: str) -> Company:
    """Make a company of which no more is known than one identifier or account."""
    if not text.strip():
        raise ConfigurationError("--company", ["this can't be empty; write the company's number"])
    try:
        identifier = company_identifier(text)
    except ValueError:
        # It may have wrong check digits, as in test documents, or be of another register.
        identifier = text.strip()
    accounts: tuple[str, ...] = ()
    with suppress(ValueError):
        accounts = (iban(text),)
    # Also as it was written: bare digits may be a number of another register.
    return Company("the company", identifier, source="", identifiers=(text,), accounts=accounts)


def _number(content: Content) -> str:
    content = _first(content)
    return "" if isinstance(content, Other | Bundle) else content.number


def _issue_date(content: Content) -> str:
    content = _first(content)
    return "" if isinstance(content, Other | Bundle) else content.issue_date


def _total(content: Content) -> tuple[str, str]:
    """Return the amount payable of an invoice, in one spelling, and its currency."""
    content = _first(content)
    if not isinstance(content, Invoice):
        return "", ""
    return same_amount(content.total), content.currency


def _account(content: Content) -> str:
    """Return the account of the first statement in one spelling, without its bank."""
    stated = next(iter(content.accounts), "") if isinstance(content, Statement) else ""
    return account_number(stated) or stated


def _first(content: Content) -> Content:
    """Return the first document of a bundle, which names the file."""
    return content.parts[0] if isinstance(content, Bundle) else content


def _counterparty(content: Content, kind: Kind) -> str:
    content = _first(content)
    if not isinstance(content, Invoice):
        return ""
    return (content.supplier if kind is Kind.PURCHASE else content.customer).name


def _extension(media_type: str) -> str:
    return (mimetypes.guess_extension(media_type) or ".bin").removeprefix(".")
