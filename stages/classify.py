"""Stage 4, classify: what a document is and whose, by its content, and why."""

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
from stages.formats import problems, read, run_in_thread_if_slow
from stages.formats.content import Content, Invoice, Other, Statement, Unreadable
from stages.identifiers import company_identifier, iban
from stages.matching.fingerprint import fingerprint
from stages.matching.parties import CompanyIndex
from stages.matching.rules import Classification, ListHint, apply_rules
from stages.model import Classified, Kind, Listed, Verified
from stages.settings import Company, Config

log = structlog.get_logger(__name__)

#: Bytes of a file that is explained: ten times as many as a document has by default.
LARGEST = 500_000_000

#: Formats of what comes in place of a document when something is wrong, and of what is not
#: recognised, which nobody may leave out unseen.
NO_DOCUMENT = {"html", "json", "soap", "empty"}
UNRECOGNISED = {"unknown", "xml"}


class FileClassification(Struct, frozen=True):
    """What a file is, seen from one company: for `synqup classify`."""

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
        """Classify one document. Rejected if it is nobody's here, naming both parties."""
        payload = document.payload
        assert payload is not None
        return await run_in_thread_if_slow(payload, lambda: self._classified(document, payload))

    def _classified(self, document: Document[Verified], payload: Payload) -> Document[Classified]:
        label, verified = document.entry.label, document.meta
        listed = verified.listed
        try:
            content = read(payload)
        except Unreadable as error:
            raise Rejected(label, str(error), "Ask its sender for another one") from None
        mailbox = self._mailbox(listed, document.key.source)
        classification = self._apply_rules(content, listed, mailbox, document.key.source)
        if isinstance(content, Other):
            classification = _by_rule(content, classification, listed, mailbox, label)
        if classification.company is None:
            raise Rejected(label, classification.reason, _remedy(content, listed))
        if classification.warnings:
            log.warning(
                "list and content disagree", document=label, why=list(classification.warnings)
            )
        return document.grown(
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

    def _mailbox(self, listed: Listed, source: str) -> Company | None:
        return self._index(listed.config).with_identifier(listed.company or "", source)

    def _apply_rules(
        self, content: Content, listed: Listed, mailbox: Company | None, source: str
    ) -> Classification:
        return apply_rules(
            content, self._index(listed.config), ListHint(listed.kind, mailbox, source)
        )

    def _index(self, config: Config) -> CompanyIndex:
        """The companies of a configuration; nearly always that of the document before."""
        latest = self._latest
        if latest is None or latest[0] is not config:
            self._latest = latest = (config, CompanyIndex(config.companies))
        return latest[1]


def _by_rule(
    content: Other,
    classification: Classification,
    listed: Listed,
    mailbox: Company | None,
    label: str,
) -> Classification:
    """What becomes of a document that is no invoice and no statement. Skipped if it is skipped.

    The rule is for documents that are known to be something else: not for an answer that came in
    the place of one, nor for what the list calls an invoice and may well be one. What nobody
    recognises may be delivered and is never skipped.
    """
    rule = listed.config.delivery.others
    if classification.company is not None or rule == "quarantine" or not _is_ruled(content, listed):
        return classification
    if rule == "skip" and content.format in UNRECOGNISED:
        return classification
    if rule == "skip":
        raise Skipped(label, f'{classification.reason}, and others = "skip"')
    if mailbox is None:
        return structs.replace(
            classification, reason=f"{classification.reason}, and nothing says whose it is"
        )
    return structs.replace(classification, company=mailbox)


def _is_ruled(content: Other, listed: Listed) -> bool:
    return content.format not in NO_DOCUMENT and listed.kind not in content.possible_kinds


def _remedy(content: Content, listed: Listed) -> str:
    """What to do about a document that belongs nowhere."""
    if isinstance(content, Other) and content.format in NO_DOCUMENT:
        return "Look at the platform whether the document is whole there: this came in its place"
    if isinstance(content, Other) and _is_ruled(content, listed):
        return "Forward it by hand, or say with others in [delivery] what becomes of such documents"
    return "Add the company to [[companies]], or forward the document by hand"


def classify_file(path: Path, company: str) -> FileClassification:
    """Say what a file is, seen from a company, without a word of any list.

    company: its enterprise or VAT number, or any other identifier that documents bear.
    """
    ours = _company(company)
    try:
        payload = Payload(check_file(path, LARGEST), sha256="", spool=path)
        # First, for only what is known to be harmless is read.
        problems(payload)
        content = read(payload)
    except OSError as error:
        content = Other("unknown", f"nothing that can be read: {os_reason(error)}")
    except Unreadable as error:
        content = Other("unknown", f"no document that can be read: {error}")
    classification = apply_rules(content, CompanyIndex([ours]), ListHint())
    return FileClassification(
        path=str(path),
        # What it is does not depend on whose it is, as it does for an invoice.
        kind=Kind.STATEMENT if isinstance(content, Statement) else classification.kind,
        format=content.format,
        number=_number(content),
        issue_date=_issue_date(content),
        supplier=str(content.supplier) if isinstance(content, Invoice) else "",
        customer=str(content.customer) if isinstance(content, Invoice) else "",
        reason=classification.reason,
    )


def _company(text: str) -> Company:
    """A company of which no more is known than one of its numbers, or an account of it."""
    if not text.strip():
        raise ConfigurationError("--company", ["this can't be empty; write the company's number"])
    try:
        identifier = company_identifier(text)
    except ValueError:
        # Not every document's numbers pass their check, or are of the European Union.
        identifier = text.strip()
    accounts: tuple[str, ...] = ()
    with suppress(ValueError):
        accounts = (iban(text),)
    # As it was written too: bare digits may be a number of another register.
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
