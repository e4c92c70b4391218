"""Settings: the sections of the configuration file, and their defaults.

A connector's section is a subclass of SourceSettings, in its own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from msgspec import Struct, structs

from pipeline.alerts.settings import AlertSettings
from pipeline.config.cluster import ClusterSettings
from pipeline.config.loader import LoadContext
from pipeline.config.monitor import MonitorSettings
from pipeline.config.push import PushSettings
from pipeline.config.types import (
    Duration,
    Mode,
    Secret,
    ServiceSettings,
    StageSettings,
    absolute,
    at_least_one_second,
    not_blank,
    one_of,
)
from pipeline.ledger.orders import AGAIN
from pipeline.sign_in import SignInState
from stages.naming.paths import company_folder, fixed_part
from stages.naming.templates import NameTemplate, PathTemplate
from stages.values.identifiers import company_identifier, iban

#: The keys of the three destinations, in [delivery] and in [[companies]].
PATHS = ("purchases", "sales", "statements")

#: The key of the name template of each destination.
NAMES = {
    "purchases": "invoice_name",
    "sales": "invoice_name",
    "statements": "statement_name",
    "others_path": "invoice_name",
}


#: The forms in which an invoice is delivered, and a statement in CODA.
Formats = Annotated[str, one_of("ubl", "ubl+pdf", "pdf")]
StatementFormats = Annotated[str, one_of("coda", "coda+pdf")]
#: The language of what is made to be read; "auto" is that of the company's address.
Language = Annotated[str, one_of("auto", "nl", "fr", "en")]


class Delivery(Struct, frozen=True, forbid_unknown_fields=True):
    """[delivery]: path templates of the three destinations, and the names of the files.

    formats: the XML of an invoice alone, with its PDF beside it, or the PDF alone; a company may
    set its own. statement_formats: the same for statements in CODA. language: of PDFs that are made
    here. duplicates: what happens to an invoice that arrives by a second route. others:
    what happens to documents that are neither invoices nor statements, such as orders;
    answers: what happens to answers to invoices; "record" notes in the ledger what they say.
    others_path: the destination of others and of answers, if they are delivered.
    file_mode, folder_mode: permissions of new files and folders, before the umask; not on Windows.
    """

    purchases: PathTemplate
    sales: PathTemplate
    statements: PathTemplate
    invoice_name: NameTemplate = "[issue_date]_[document_number]_[counterparty]"
    statement_name: NameTemplate = "[issue_date]_[account]_[document_number]"
    formats: Formats = "ubl"
    statement_formats: StatementFormats = "coda"
    language: Language = "auto"
    duplicates: Annotated[str, one_of("skip", "deliver")] = "skip"
    others: Annotated[str, one_of("quarantine", "skip", "deliver")] = "quarantine"
    answers: Annotated[str, one_of("record", "deliver", "quarantine")] = "record"
    others_path: PathTemplate | None = None
    file_mode: Mode = Mode(0o640)
    folder_mode: Mode = Mode(0o750)


class Membership(Struct, frozen=True, forbid_unknown_fields=True):
    """A source that holds documents of a company. id: what the source itself calls the company."""

    source: str
    id: str | None = None


class Company(Struct, frozen=True, forbid_unknown_fields=True):
    """[[companies]]: one company whose documents are fetched.

    identifier: enterprise or VAT number, canonical after loading (BE0403170701). accounts: IBANs
    of its statements. identifiers: further numbers that its invoices may state. platform_id: the
    company's own id at the source, where the source separates companies. sources: the sources of a
    company that has several; `source` and `platform_id` are the short form for one.
    """

    name: Annotated[str, not_blank]
    identifier: Annotated[str, company_identifier]
    source: str = ""
    sources: tuple[Membership, ...] = ()
    accounting_file_id: str = ""
    platform_id: str | None = None
    accounts: tuple[Annotated[str, iban], ...] = ()
    identifiers: tuple[str, ...] = ()
    purchases: PathTemplate | None = None
    sales: PathTemplate | None = None
    statements: PathTemplate | None = None
    formats: Formats | None = None
    statement_formats: StatementFormats | None = None
    language: Language | None = None

    @property
    def memberships(self) -> tuple[Membership, ...]:
        """The sources that hold its documents."""
        alone = (Membership(self.source, self.platform_id),) if self.source else ()
        return alone + self.sources


def source_name(text: str) -> str:
    """Validate the name of a source, which the ledger must not have another use for."""
    if text.strip() == AGAIN:
        raise ValueError(f'"{AGAIN}" stands for what is delivered again; choose another name')
    return not_blank(text)


#: The key of a connector that takes pushes: a Secret, or none.
PUSH_SECRET = "push_secret"  # noqa: S105 - a key


class SourceSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[sources]]: what all connectors share. A connector's own section is a subclass with a tag.

    name: names the source in [[companies]], in the ledger and in logs. poll_interval: seconds
    between its polls, in place of that of [service].
    """

    name: Annotated[str, source_name]
    poll_interval: Annotated[Duration, at_least_one_second] | None = None

    @property
    def concurrency(self) -> int:
        """Requests that the source takes at once, at most: so many documents are worked on."""
        return 8

    @property
    def exclusive_sign_in(self) -> bool:
        """Whether a sign-in uses up a credential, so that only one process at a time may do it."""
        return False

    def sign_in_state(self, state_dir: Path) -> SignInState | None:  # noqa: ARG002 - connectors use it
        """What is known of a sign-in by a person; None where none is needed. Sends no request."""
        return None

    @property
    def pushed_by(self) -> Secret | None:
        """The secret by which its platform signs pushes; None if there is none."""
        return getattr(self, PUSH_SECRET, None)

    @property
    def can_be_pushed(self) -> bool:
        """Whether its kind of platform tells of new documents by pushes."""
        return PUSH_SECRET in self.__struct_fields__

    @property
    def longest_silence(self) -> float:
        """Seconds that one request may take at most, with all its retries and pauses."""
        return 0.0

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Report what is wrong with the section beyond its single values.

        base: the folder of the configuration file. key: of the section, for `context.add_problem`.
        Fields that are wrong by themselves are None; they have been reported already.
        """

    def located(self, base: Path) -> Self:
        """The same section with its paths, and those of its secrets, absolute."""
        changed: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Secret) and value.file is not None:
                changed[name] = structs.replace(value, file=str(absolute(base, value.file)))
            elif isinstance(value, Path):
                changed[name] = absolute(base, value)
        return structs.replace(self, **changed)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file, with every path absolute and every identifier canonical.

    include: further files, which pipeline/config/include.py has read with it.
    """

    service: ServiceSettings
    delivery: Delivery
    sources: tuple[SourceSettings, ...]
    companies: tuple[Company, ...]
    stages: dict[str, StageSettings] = {}
    monitor: MonitorSettings = MonitorSettings()
    push: PushSettings = PushSettings()
    alerts: AlertSettings = AlertSettings()
    cluster: ClusterSettings | None = None
    include: tuple[str, ...] = ()

    @property
    def connections(self) -> int:
        """Requests that the sources take at once, all together."""
        return max(sum(source.concurrency for source in self.sources), 1)

    @property
    def downloads(self) -> int:
        """Documents that are fetched at once, at most."""
        download = self.stages.get("download")
        return (download and download.workers) or self.connections

    @property
    def shares(self) -> Mapping[str, int]:
        """How many of these are left to each source, by its name; to the only one, all.

        One whose downloads all hang keeps no other's from coming.
        """
        if len(self.sources) < 2:
            return {}
        most = min(self.downloads, self.connections)
        return {
            one.name: max(one.concurrency * most // self.connections, 1) for one in self.sources
        }


def destination(delivery: Delivery, company: Company, path: str) -> Path:
    """The absolute folder of a company: its own if it has one, else that of [delivery].

    path: "purchases", "sales", "statements" or "others_path".
    """
    return company_folder(
        path_template(delivery, company, path),
        name=company.name,
        identifier=company.identifier,
        accounting_file_id=company.accounting_file_id,
    )


class Member(Struct, frozen=True):
    """A company at one of its sources. platform_id: what that source calls it, if it matters."""

    company: Company
    platform_id: str | None


def members(config: Config, source: str) -> list[Member]:
    """The companies whose documents a source holds."""
    return [
        Member(company, one.id)
        for company in config.companies
        for one in company.memberships
        if one.source == source
    ]


def formats_of(delivery: Delivery, company: Company) -> str:
    """The forms in which a company's invoices are delivered: its own, else those of [delivery]."""
    return company.formats or delivery.formats


def statement_formats_of(delivery: Delivery, company: Company) -> str:
    """The forms in which a company's statements are delivered, as formats_of()."""
    return company.statement_formats or delivery.statement_formats


def language_of(delivery: Delivery, company: Company) -> str:
    """The language of PDFs that are made for a company; "auto" is that of its address."""
    return company.language or delivery.language


def destinations(delivery: Delivery) -> tuple[str, ...]:
    """The keys of the destinations in use, as `destination` takes them."""
    return (*PATHS, "others_path") if delivered_to_others(delivery) else PATHS


def folders_of(config: Config) -> tuple[Path, ...]:
    """The folders to which documents of the companies are delivered, each once."""
    keys = destinations(config.delivery)
    found = (destination(config.delivery, one, key) for one in config.companies for key in keys)
    return tuple(dict.fromkeys(found))


def company_folders(config: Config, company: Company) -> tuple[Path, ...]:
    """The folders to which documents of one company are delivered."""
    keys = destinations(config.delivery)
    return tuple(dict.fromkeys(destination(config.delivery, company, key) for key in keys))


def roots_of(config: Config) -> frozenset[Path]:
    """The folders in which those of all companies lie, also of companies that are yet to come.

    Where the templates have no folder in common but the root of a disk, each one is named.
    """
    roots = set()
    for company in config.companies:
        for key in destinations(config.delivery):
            root = fixed_part(path_template(config.delivery, company, key))
            is_disk = root == Path(root.anchor)
            roots.add(destination(config.delivery, company, key) if is_disk else root)
    return frozenset(roots)


def delivered_to_others(delivery: Delivery) -> tuple[str, ...]:
    """The settings of [delivery] that have something delivered to `others_path`."""
    return tuple(key for key in ("others", "answers") if getattr(delivery, key) == "deliver")


def path_template(delivery: Delivery, company: Company, path: str) -> str:
    """The template of a destination: the company's own, else that of [delivery]."""
    template: str = getattr(company, path, None) or getattr(delivery, path)
    return template
