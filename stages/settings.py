"""The configuration file: its sections, their defaults, and what must hold between them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from msgspec import Struct, structs
from yarl import URL

from pipeline.config import (
    Duration,
    Reading,
    Secret,
    Service,
    StageSettings,
    absolute,
    convert,
    read_toml,
)
from pipeline.errors import ConfigurationError
from stages.folders.paths import folder
from stages.folders.templates import NAME_VARIABLES, PATH_VARIABLES, unknown_variables, variables
from stages.identifiers import company_identifier, iban

#: The stages that [stages] may size.
STAGES = ("download", "verify", "classify", "write")

#: The three paths, in [delivery] and in [[companies]].
PATHS = ("purchases", "sales", "statements")


class Delivery(Struct, frozen=True, forbid_unknown_fields=True):
    """[delivery]: path templates of the three destinations, and the names of the files."""

    purchases: str
    sales: str
    statements: str
    invoice_name: str = "[issue_date]_[document_number]_[counterparty]"
    statement_name: str = "[issue_date]_[account]_[document_number]"


class Company(Struct, frozen=True, forbid_unknown_fields=True):
    """[[companies]]: one company whose documents are brought.

    identifier: its enterprise or VAT number, canonical after loading (BE0403170701).
    accounts: IBANs of its statements. identifiers: further ones that its invoices may bear.
    platform_id: the company's own id at the source, where the source separates companies.
    """

    name: str
    identifier: str
    source: str
    accounting_file_id: str = ""
    platform_id: str | None = None
    accounts: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    purchases: str | None = None
    sales: str | None = None
    statements: str | None = None


class Billtobox(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="billtobox"):
    """[[sources]] of kind "billtobox". What the platform does not publish is a setting here.

    The paths are below `url`; an empty one switches its list off. documents_path: a list of
    documents whose kind the platform does not say. refresh_token: of a sign-in by authorisation
    code; without one, client credentials are used.
    """

    name: str
    url: str
    token_url: str
    client_id: str
    client_secret: Secret
    refresh_token: Secret | None = None
    scope: str = "openid"
    page_size: int = 50
    connections: int = 16
    connect_timeout: Duration = Duration(10)
    first_byte_timeout: Duration = Duration(60)
    stall_timeout: Duration = Duration(30)
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


def destination(delivery: Delivery, company: Company, path: str) -> Path:
    """The absolute folder of a company: its own if it has one, else that of [delivery].

    path: "purchases", "sales" or "statements".
    """
    template: str = getattr(company, path) or getattr(delivery, path)
    return folder(
        template,
        name=company.name,
        identifier=company.identifier,
        accounting_file_id=company.accounting_file_id,
    )


def load_config(path: Path) -> Config:
    """Read and check a configuration file. ConfigurationError names all that is wrong with it."""
    base = path.resolve().parent
    refine: dict[type[Struct], Callable[[Any, str], Struct]] = {}
    reading = Reading(refine)
    refine[Service] = partial(_service, base, reading)
    refine[Delivery] = partial(_delivery, base, reading)
    refine[Company] = partial(_company, base, reading)
    refine[Billtobox] = partial(_billtobox, base, reading)
    refine[StageSettings] = partial(_stage, reading)
    config = convert(read_toml(path), Config, reading)
    _between_sections(reading)
    if reading.problems or config is None:
        raise ConfigurationError(str(path), reading.problems)
    return config


def _service(base: Path, reading: Reading, service: Service, key: str) -> Service:
    if service.poll_interval < 1:
        reading.wrong(f"{key}.poll_interval", "less than a second", 'write "1s" or more')
    if service.spool_threshold > service.max_document_size:
        reading.wrong(f"{key}.spool_threshold", "more than max_document_size", "write less")
    return structs.replace(service, state_dir=absolute(base, service.state_dir))


def _delivery(base: Path, reading: Reading, delivery: Delivery, key: str) -> Delivery:
    for name in ("invoice_name", "statement_name"):
        template = getattr(delivery, name)
        for variable, right in unknown_variables(template, NAME_VARIABLES):
            reading.wrong(f"{key}.{name}", f"there is no variable [{variable}]", right)
        if not template.strip():
            reading.wrong(f"{key}.{name}", "a name can't be empty", 'write "[id]", for instance')
    return structs.replace(delivery, **_paths(base, reading, delivery, key))


def _company(base: Path, reading: Reading, company: Company, key: str) -> Company:
    identifier = company_identifier(company.identifier)
    if identifier is None:
        reading.wrong(
            f"{key}.identifier",
            f'"{company.identifier}" is no valid enterprise or VAT number (length or check digits)',
            'write it like "BE0403170701" or "0403.170.701"',
        )
    accounts = []
    for account in company.accounts:
        accounts.append(iban(account) or account)
        if iban(account) is None:
            reading.wrong(f"{key}.accounts", f'"{account}" is no valid IBAN', "check its digits")
    if not company.name.strip():
        reading.wrong(f"{key}.name", "a company needs a name", "write the one that people know")
    return structs.replace(
        company,
        identifier=identifier or company.identifier,
        accounts=tuple(accounts),
        **_paths(base, reading, company, key),
    )


def _paths(
    base: Path, reading: Reading, owner: Delivery | Company, key: str
) -> dict[str, str | None]:
    """The paths of a section made absolute, with what is wrong with them noted."""
    paths: dict[str, str | None] = {}
    for name in PATHS:
        template: str | None = getattr(owner, name)
        paths[name] = template
        if template is None:
            continue
        where = f"{key}.{name}"
        for variable, right in unknown_variables(template, PATH_VARIABLES):
            reading.wrong(where, f"there is no variable [{variable}]", right)
        if not template.strip():
            reading.wrong(where, "a path can't be empty", 'write "." for the folder of this file')
        elif _is_foreign(template):
            reading.wrong(
                where, f'"{template}" is a path of Windows', "write one of this system: /srv/books"
            )
        else:
            path = absolute(base, template)
            if not Path(template).is_absolute() and not path.is_relative_to(base):
                reading.wrong(
                    where, f'"{template}" leaves the folder of this file', "write an absolute path"
                )
            paths[name] = str(path)
    return paths


def _is_foreign(template: str) -> bool:
    return sys.platform != "win32" and bool(PureWindowsPath(template).drive)


def _billtobox(base: Path, reading: Reading, source: Billtobox, key: str) -> Billtobox:
    for name in ("url", "token_url"):
        _check_url(reading, f"{key}.{name}", getattr(source, name))
    if not 1 <= source.page_size <= 50:
        reading.wrong(f"{key}.page_size", "the platform gives 1 to 50 a page", "write 50")
    if source.connections < 1:
        reading.wrong(f"{key}.connections", "at least one is needed", "write 16")
    refresh = source.refresh_token
    return structs.replace(
        source,
        client_secret=_absolute_secret(base, source.client_secret),
        refresh_token=_absolute_secret(base, refresh) if refresh else None,
    )


def _absolute_secret(base: Path, secret: Secret) -> Secret:
    if secret.file is None:
        return secret
    return structs.replace(secret, file=str(absolute(base, secret.file)))


def _check_url(reading: Reading, key: str, text: str) -> None:
    try:
        url = URL(text)
        host = url.host
    except ValueError:
        host = None
    if not host or url.scheme not in ("http", "https"):
        reading.wrong(key, "this is no web address", 'write it like "https://host/v4"')
    elif url.user or url.password:
        reading.wrong(key, "an address may not hold a user or a password", "remove them")
    elif url.scheme == "http" and host not in ("localhost", "::1") and not host.startswith("127."):
        reading.wrong(key, "credentials would travel in the clear", "write https://")


def _stage(reading: Reading, stage: StageSettings, key: str) -> StageSettings:
    name = key.rpartition(".")[2]
    if name not in STAGES:
        reading.wrong(key, "there is no such stage", f"known are {', '.join(STAGES)}")
    for field in ("workers", "queue", "queue_bytes"):
        value = getattr(stage, field)
        if value is not None and value < 1:
            reading.wrong(f"{key}.{field}", "at least one is needed", "write 1 or more")
    return stage


def _between_sections(reading: Reading) -> None:
    sources = reading.made(Billtobox)
    companies = reading.made(Company)
    names: dict[str, str] = {}
    for key, source in sources:
        if source.name in names:
            reading.wrong(
                f"{key}.name", f'{names[source.name]} is "{source.name}" too', "rename one"
            )
        names[source.name] = key
    seen: dict[tuple[str, str], str] = {}
    for key, company in companies:
        if names and company.source not in names:
            known = ", ".join(f'"{name}"' for name in names)
            reading.wrong(
                f"{key}.source", f'there is no source "{company.source}"', f"known are {known}"
            )
        who = (company.identifier, company.source)
        if who in seen:
            reading.wrong(
                f"{key}.identifier", f"{seen[who]} is {company.identifier} too", "remove one"
            )
        seen[who] = key
    for _, delivery in reading.made(Delivery):
        _distinct_targets(reading, delivery, companies)


def _distinct_targets(
    reading: Reading, delivery: Delivery, companies: list[tuple[str, Company]]
) -> None:
    """Two companies may share a folder only where the names of the files tell them apart."""
    targets: dict[str, tuple[str, str]] = {}
    for key, company in companies:
        for name in PATHS:
            used = variables(getattr(company, name) or getattr(delivery, name))
            if "accounting_file_id" in used and not company.accounting_file_id:
                reading.wrong(
                    f"{key}.accounting_file_id",
                    f"it is missing, and the path {name} is made with it",
                    "write the company's file number",
                )
                continue
            if set(used) - set(PATH_VARIABLES):
                continue
            file_name = delivery.statement_name if name == "statements" else delivery.invoice_name
            if set(variables(file_name)) & set(PATH_VARIABLES):
                continue
            target = destination(delivery, company, name)
            other, other_name = targets.setdefault(str(target).casefold(), (key, company.name))
            if other != key:
                reading.wrong(
                    f"{key}.{name}",
                    f"{company.name} and {other_name} ({other}) share the folder"
                    f" {target} and the names of their files",
                    "put a variable like [enterprise_identifier] into the path or into the name",
                )
