"""The configuration file: its sections, their defaults, and what must hold between them."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Struct, structs
from yarl import URL

from pipeline.config.loader import Reading, convert, nearest, read_toml
from pipeline.config.types import (
    Duration,
    Mode,
    Secret,
    Service,
    StageSettings,
    above_zero,
    absolute,
    not_blank,
    one_of,
)
from pipeline.errors import ConfigurationError
from pipeline.files import check_file, os_reason
from stages.identifiers import company_identifier, iban
from stages.naming.names import clean
from stages.naming.paths import folder
from stages.naming.templates import NameTemplate, PathTemplate, variables

#: Bytes of a file of certificates: those of all authorities in the world are a twentieth.
CERTIFICATES = 5_000_000

#: What Billtobox gives at once, at most.
LARGEST_PAGE = 50

#: The three paths, in [delivery] and in [[companies]].
PATHS = ("purchases", "sales", "statements")

#: The names of the files in each.
NAMES = {
    "purchases": "invoice_name",
    "sales": "invoice_name",
    "statements": "statement_name",
    "others_path": "invoice_name",
}


def web_address(text: str) -> str:
    """Check an address that credentials are sent to. Raises ValueError."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if not url.host or url.scheme not in ("http", "https"):
        raise ValueError('this is no web address; write it like "https://host/v4"')
    if url.user or url.password:
        raise ValueError("an address may not hold a user or a password; remove them")
    if url.scheme == "http" and not _is_this_machine(url.host):
        raise ValueError("credentials would travel in the clear; write https://")
    return text


def page_of_list(size: int) -> int:
    """Check how many documents of a list are asked for at once. Raises ValueError."""
    if not 1 <= size <= LARGEST_PAGE:
        raise ValueError(f"the platform gives 1 to {LARGEST_PAGE} a page; write {LARGEST_PAGE}")
    return size


#: The forms in which an invoice is delivered.
Formats = Annotated[str, one_of("ubl", "ubl+pdf", "pdf")]


class Delivery(Struct, frozen=True, forbid_unknown_fields=True):
    """[delivery]: path templates of the three destinations, and the names of the files.

    formats: the XML of an invoice alone, with its PDF beside it, or the PDF alone; a company may
    have its own. duplicates: of an invoice that comes by a second route. others: what becomes of
    what is no invoice and no statement, such as an order; others_path: where it goes if it is
    delivered.
    file_mode, folder_mode: permissions of what is made, before the umask; not on Windows.
    """

    purchases: PathTemplate
    sales: PathTemplate
    statements: PathTemplate
    invoice_name: NameTemplate = "[issue_date]_[document_number]_[counterparty]"
    statement_name: NameTemplate = "[issue_date]_[account]_[document_number]"
    formats: Formats = "ubl"
    duplicates: Annotated[str, one_of("skip", "deliver")] = "skip"
    others: Annotated[str, one_of("quarantine", "skip", "deliver")] = "quarantine"
    others_path: PathTemplate | None = None
    file_mode: Mode = Mode(0o640)
    folder_mode: Mode = Mode(0o750)


class Company(Struct, frozen=True, forbid_unknown_fields=True):
    """[[companies]]: one company whose documents are brought.

    identifier: its enterprise or VAT number, canonical after loading (BE0403170701).
    accounts: IBANs of its statements. identifiers: further ones that its invoices may bear.
    platform_id: the company's own id at the source, where the source separates companies.
    """

    name: Annotated[str, not_blank]
    identifier: Annotated[str, company_identifier]
    source: str
    accounting_file_id: str = ""
    platform_id: str | None = None
    accounts: tuple[Annotated[str, iban], ...] = ()
    identifiers: tuple[str, ...] = ()
    purchases: PathTemplate | None = None
    sales: PathTemplate | None = None
    statements: PathTemplate | None = None
    formats: Formats | None = None


class Billtobox(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="billtobox"):
    """[[sources]] of kind "billtobox". What the platform does not publish is a setting here.

    The paths are below `url`; an empty one switches its list off. documents_path: a list of
    documents whose kind the platform does not say. refresh_token: of a sign-in by authorisation
    code; without one, client credentials are used. ca_file: certificates (PEM) of authorities
    that are trusted besides those of the system. connections: requests at once, of every sort:
    besides the documents (`workers` in [stages.download]) there are pages of lists, and as many
    acknowledgements as documents.
    attempts, retry_wait, longest_retry_wait: how often a passing failure is tried in all, the
    first wait, which doubles, and the longest. longest_asked_wait: what `Retry-After` may ask.
    """

    name: Annotated[str, not_blank]
    url: Annotated[str, web_address]
    token_url: Annotated[str, web_address]
    client_id: Annotated[str, not_blank]
    client_secret: Secret
    refresh_token: Secret | None = None
    scope: str = "openid"
    page_size: Annotated[int, page_of_list] = LARGEST_PAGE
    connections: Annotated[int, above_zero] = 48
    ca_file: Path | None = None
    connect_timeout: Annotated[Duration, above_zero] = Duration(10)
    first_byte_timeout: Annotated[Duration, above_zero] = Duration(60)
    stall_timeout: Annotated[Duration, above_zero] = Duration(30)
    attempts: Annotated[int, above_zero] = 5
    retry_wait: Annotated[Duration, above_zero] = Duration(0.5)
    longest_retry_wait: Annotated[Duration, above_zero] = Duration(20)
    longest_asked_wait: Annotated[Duration, above_zero] = Duration(120)
    purchases_path: str = "purchase-invoices"
    sales_path: str = "sales-invoices"
    statements_path: str = "bank-statements"
    documents_path: str = ""
    status_path: str = "accounting-status"
    pending_filter: str = "accounting_status=TO_BE_FETCHED"
    sort: str = ""
    invoice_accept: str = "application/xml, application/pdf;q=0.5"
    statement_accept: str = "text/plain"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file, with every path absolute and every identifier canonical."""

    service: Service
    delivery: Delivery
    sources: tuple[Billtobox, ...]
    companies: tuple[Company, ...]
    stages: dict[str, StageSettings] = {}


Section = TypeVar("Section", Delivery, Billtobox, Company)


def destination(delivery: Delivery, company: Company, path: str) -> Path:
    """The absolute folder of a company: its own if it has one, else that of [delivery].

    path: "purchases", "sales", "statements" or "others_path".
    """
    return folder(
        _path_template(delivery, company, path),
        name=company.name,
        identifier=company.identifier,
        accounting_file_id=company.accounting_file_id,
    )


def formats_of(delivery: Delivery, company: Company) -> str:
    """The forms in which a company's invoices are delivered: its own, else that of [delivery]."""
    return company.formats or delivery.formats


def destinations(delivery: Delivery) -> tuple[str, ...]:
    """The paths that are in use, as `destination` takes them."""
    return (*PATHS, "others_path") if delivery.others == "deliver" else PATHS


def load_config(path: Path, stages: Sequence[str]) -> Config:
    """Read and check a configuration file. ConfigurationError names all that is wrong with it.

    stages: the names of those that [stages] may size.
    """
    base = Path(os.path.abspath(path)).parent  # noqa: PTH100 - Path.absolute() keeps ".."
    raw = read_toml(path)
    reading = Reading(Config)
    config = convert(raw, Config, reading)
    _check_service(raw, reading)
    _check_sources(raw, reading)
    _check_authorities(base, reading)
    _check_companies(reading)
    _check_others(reading)
    _check_targets(base, reading)
    for name in config.stages or ():
        if name not in stages:
            reading.wrong(
                f"stages.{name}", "there is no such stage", nearest(name, stages, "[stages.{}]")
            )
    if reading.problems:
        raise ConfigurationError(str(path), reading.problems)
    return structs.replace(
        config,
        service=structs.replace(config.service, state_dir=absolute(base, config.service.state_dir)),
        delivery=_located(base, config.delivery),
        sources=tuple(_located(base, source) for source in config.sources),
        companies=tuple(_located(base, company) for company in config.companies),
    )


def _located(base: Path, section: Section) -> Section:
    """The same section with its paths, and those of its secrets, absolute."""
    changed: dict[str, Any] = {}
    for name in structs.asdict(section):
        value = getattr(section, name)
        if isinstance(value, Secret) and value.file is not None:
            changed[name] = structs.replace(value, file=str(absolute(base, value.file)))
        elif name == "ca_file" and value is not None:
            changed[name] = absolute(base, value)
        elif name in (*PATHS, "others_path") and value is not None:
            changed[name] = str(absolute(base, value))
    return structs.replace(section, **changed)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_service(raw: Mapping[str, Any], reading: Reading) -> None:
    for key, service in reading.made(Service):
        # A default that lies above a limit does no harm, and is not the user's to mend.
        written = "spool_threshold" in raw[key]
        if not written or not reading.sound(key, "spool_threshold", "max_document_size"):
            continue
        if service.spool_threshold > service.max_document_size:
            reading.wrong(
                f"{key}.spool_threshold", "this is more than max_document_size", "write less"
            )


def _check_sources(raw: Mapping[str, Any], reading: Reading) -> None:
    """Sources have names of their own, and companies name one of them."""
    # As they stand in the file: a source that is wrong otherwise is still the one meant.
    sources = raw.get("sources")
    rows = sources if isinstance(sources, list) else []
    names = [row.get("name") if isinstance(row, dict) else None for row in rows]
    for number, name in enumerate(names, 1):
        first = names.index(name) + 1
        if isinstance(name, str) and first != number:
            reading.wrong(
                f"sources[{number}].name", f'sources[{first}] is "{name}" too', "rename one"
            )
    known = [name for name in names if isinstance(name, str)]
    for key, company in reading.made(Company):
        if known and reading.sound(key, "source") and company.source not in known:
            reading.wrong(
                f"{key}.source",
                f'there is no source "{company.source}"',
                nearest(company.source, known, '"{}"'),
            )


def _check_authorities(base: Path, reading: Reading) -> None:
    """A file of certificates holds some."""
    for key, source in reading.made(Billtobox):
        if source.ca_file is None:
            continue
        path = absolute(base, source.ca_file)
        try:
            check_file(path, CERTIFICATES)
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError:
            reading.wrong(
                f"{key}.ca_file",
                f"{source.ca_file} holds no certificate",
                "name a file of certificates in PEM form (-----BEGIN CERTIFICATE-----)",
            )
        except OSError as error:
            reading.wrong(
                f"{key}.ca_file",
                f"{source.ca_file} can't be read ({os_reason(error)})",
                "name a file of certificates that this account may read",
            )


def _check_companies(reading: Reading) -> None:
    """No company stands there twice for one source."""
    seen: dict[tuple[str, str], str] = {}
    for key, company in reading.made(Company):
        if not reading.sound(key, "identifier", "source"):
            continue
        first = seen.setdefault((company.identifier, company.source), key)
        if first != key:
            reading.wrong(
                f"{key}.identifier", f"{first} is {company.identifier} too", "remove one of them"
            )


def _check_others(reading: Reading) -> None:
    """What is delivered needs a path."""
    for key, delivery in reading.made(Delivery):
        missing = delivery.others_path is None and reading.sound(key, "others_path")
        if delivery.others == "deliver" and missing:
            reading.wrong(
                f"{key}.others_path",
                'this is missing, and others = "deliver" needs it',
                'write where others go, like "out/[enterprise_identifier]/others"',
            )


def _check_targets(base: Path, reading: Reading) -> None:
    """Two companies may share a folder only where the names of the files tell them apart."""
    targets: dict[tuple[str, ...], tuple[str, Company]] = {}
    for _, delivery in reading.made(Delivery):
        for key, company in reading.made(Company):
            if not reading.sound(key, "name", "identifier", "accounting_file_id"):
                continue
            paths = [
                path for path in destinations(delivery) if _is_sound(reading, key, company, path)
            ]
            lacking = _paths_without_file_number(delivery, company, paths)
            if lacking:
                reading.wrong(
                    f"{key}.accounting_file_id",
                    f"this is missing, and needed for the path of {' and '.join(lacking)}",
                    "write the company's file number",
                )
            for path in paths:
                if path in lacking:
                    continue
                target = destination(_located(base, delivery), _located(base, company), path)
                marks = _marks(delivery, company, path)
                other, holder = targets.setdefault((str(target).casefold(), *marks), (key, company))
                if holder.identifier != company.identifier:
                    reading.wrong(
                        f"{key}.{path}",
                        f"{company.name} and {holder.name} ({other}) share the folder {target}"
                        " and the names of their files",
                        "put a variable like [enterprise_identifier] into the path or the name",
                    )


def _is_sound(reading: Reading, key: str, company: Company, path: str) -> bool:
    """Whether a company's folder and the names in it can be worked out."""
    own = getattr(company, path, None)
    needed = [NAMES[path]] if own else [NAMES[path], path]
    return reading.sound(key, path) and reading.sound("delivery", *needed)


def _path_template(delivery: Delivery, company: Company, path: str) -> str:
    template: str = getattr(company, path, None) or getattr(delivery, path)
    return template


def _paths_without_file_number(
    delivery: Delivery, company: Company, paths: Iterable[str]
) -> list[str]:
    """The paths that are made with a file number which the company doesn't have."""
    if company.accounting_file_id.strip():
        return []
    return [
        path
        for path in paths
        if "accounting_file_id" in variables(_path_template(delivery, company, path))
    ]


def _marks(delivery: Delivery, company: Company, path: str) -> list[str]:
    """What the name of each file says of its company."""
    said = {
        "enterprise_name": company.name,
        "enterprise_identifier": company.identifier,
        "accounting_file_id": company.accounting_file_id,
    }
    template = getattr(delivery, NAMES[path])
    return [clean(said[name]).casefold() for name in variables(template) if name in said]
