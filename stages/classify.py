"""Classify stage (4 of 6): decides by its content what a document is and which company it is of."""

from __future__ import annotations

import mimetypes
from contextlib import suppress
from pathlib import Path

import structlog
from msgspec import Struct, structs

from pipeline.document import Document
from pipeline.errors import ConfigurationError, Rejected, Skipped
from pipeline.files import check_file, os_reason
from pipeline.payload import Payload
from stages.formats.content import Content, Invoice, Other, Statement, Unreadable
from stages.formats.registry import problems, read, run_in_thread_if_slow
from stages.identifiers import company_identifier, iban
from stages.matching.fingerprint import fingerprint
from stages.matching.parties import CompanyIndex
from stages.matching.rules import Classification, ListHint, apply_rules
from stages.model import Classified, Kind, Listed, Verified
from stages.settings import Company, Config

log = structlog.get_logger(__name__)

#: Bytes of a file for `synqup classify`: ten times the default of max_document_size.
MAX_FILE_SIZE = 500_000_000

#: Formats of what servers send instead of a document when something is wrong.
NO_DOCUMENT = {"html", "json", "soap", "empty"}
#: Formats of what is not recognised: it may be an invoice, so others = "skip" doesn't skip it.
UNRECOGNISED = {"unknown", "xml"}


class FileClassification(Struct, frozen=True):
    """What a file is, seen from one company: the result of `synqup classify`."""

    path: str
    kind: Kind
    format: str
    number: str
    issue_date: str
    supplier: str
    customer: str
    reason: str


class Classify:
    """Classifies documents, each among the companies of its own configuration."""

    def __init__(self) -> None:
        self._latest: tuple[Config, CompanyIndex] | None = None

    async def process(self, document: Document[Verified]) -> Document[Classified]:
        """Classify one document.

        Rejected, with both parties in the reason, if it is of no configured company; Skipped if the
        configuration leaves it out.
        """
        payload = document.payload
        assert payload is not None
        return await run_in_thread_if_slow(payload, lambda: self._classified(document, payload))

    def _classified(self, document: Document[Verified], payload: Payload) -> Document[Classified]:
        label, verified = document.entry.label, document.meta
        listed = verified.listed
        try:
            content = read(payload)
        except Unreadable as error:
            raise Rejected(label, str(error), "Ask its sender to send it again") from None
        mailbox_owner = self._mailbox_owner(listed, document.key.source)
        classification = self._apply_rules(content, listed, mailbox_owner, document.key.source)
        if isinstance(content, Other):
            classification = _apply_others(content, classification, listed, mailbox_owner, label)
        if classification.company is None:
            raise Rejected(label, classification.reason, _remedy(content, listed))
        if classification.warnings:
            log.warning(
                "list and content disagree", document=label, why=list(classification.warnings)
            )
        return document.with_meta(
            Classified(
                listed=listed,
                kind=classification.kind,
                company=classification.company,
                format=content.format,
                number=_number(content) or listed.number,
                issue_date=_issue_date(content) or listed.issue_date,
                counterparty=_counterparty(content, classification.kind) or listed.counterparty,
                account=content.accounts[0] if isinstance(content, Statement) else "",
                reason=classification.reason,
                extension=content.extension or _extension(verified.media_type),
                checksum=verified.checksum,
                warnings=verified.warnings + classification.warnings,
                verified_at=verified.verified_at,
                fingerprint=fingerprint(content) if isinstance(content, Invoice) else None,
            )
        )

    def _mailbox_owner(self, listed: Listed, source: str) -> Company | None:
        return self._index(listed.config).with_identifier(listed.company or "", source)

    def _apply_rules(
        self, content: Content, listed: Listed, mailbox_owner: Company | None, source: str
    ) -> Classification:
        return apply_rules(
            content, self._index(listed.config), ListHint(listed.kind, mailbox_owner, source)
        )

    def _index(self, config: Config) -> CompanyIndex:
        """Return the index of a configuration; it is kept, for the next document has the same."""
        latest = self._latest
        if latest is None or latest[0] is not config:
            self._latest = latest = (config, CompanyIndex(config.companies))
        return latest[1]


def _apply_others(
    content: Other,
    classification: Classification,
    listed: Listed,
    mailbox_owner: Company | None,
    label: str,
) -> Classification:
    """Apply `others` of [delivery] to a document that is no invoice and no statement.

    Skipped if it says so. The setting is for documents that are known to be something else: not for
    an error page that came instead of one, and not for what may be an invoice if the list calls it
    one. What is not recognised may be delivered by it, and is never skipped.
    """
    others = listed.config.delivery.others
    if (
        classification.company is not None
        or others == "quarantine"
        or not _is_for_others(content, listed)
    ):
        return classification
    if others == "skip" and content.format in UNRECOGNISED:
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
    ours = _company(company)
    try:
        payload = Payload(check_file(path, MAX_FILE_SIZE), sha256="", spool=path)
        # As in the flow, a document is verified before it is read: then reading it is harmless.
        problems(payload)
        content = read(payload)
    except OSError as error:
        content = Other("unknown", f"a file that can't be read: {os_reason(error)}")
    except Unreadable as error:
        content = Other("unknown", f"a file that can't be read: {error}")
    classification = apply_rules(content, CompanyIndex([ours]), ListHint())
    return FileClassification(
        path=str(path),
        # An invoice has a kind only for its company; a statement is one whoever holds the account.
        kind=Kind.STATEMENT if isinstance(content, Statement) else classification.kind,
        format=content.format,
        number=_number(content),
        issue_date=_issue_date(content),
        supplier=str(content.supplier) if isinstance(content, Invoice) else "",
        customer=str(content.customer) if isinstance(content, Invoice) else "",
        reason=classification.reason,
    )


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
    return "" if isinstance(content, Other) else content.number


def _issue_date(content: Content) -> str:
    return "" if isinstance(content, Other) else content.issue_date


def _counterparty(content: Content, kind: Kind) -> str:
    if not isinstance(content, Invoice):
        return ""
    return (content.supplier if kind is Kind.PURCHASE else content.customer).name


def _extension(media_type: str) -> str:
    return (mimetypes.guess_extension(media_type) or ".bin").removeprefix(".")
