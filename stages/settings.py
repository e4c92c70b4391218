"""Settings: the sections of the configuration file, their defaults, and checks across sections.

Connectors bring their own [[sources]] sections, which are passed to `load_config`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from msgspec import Struct, structs

from pipeline.config.loader import POINTER, LoadContext, convert, read_toml, suggestion
from pipeline.config.monitor import MonitorSettings
from pipeline.config.types import (
    Mode,
    Secret,
    ServiceSettings,
    StageSettings,
    absolute,
    not_blank,
    one_of,
)
from pipeline.errors import ConfigurationError
from stages.naming.names import sanitize
from stages.naming.paths import company_folder, fixed_part
from stages.naming.templates import NameTemplate, PathTemplate, variables
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


class Company(Struct, frozen=True, forbid_unknown_fields=True):
    """[[companies]]: one company whose documents are fetched.

    identifier: enterprise or VAT number, canonical after loading (BE0403170701). accounts: IBANs
    of its statements. identifiers: further numbers that its invoices may state. platform_id: the
    company's own id at the source, where the source separates companies.
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
    statement_formats: StatementFormats | None = None
    language: Language | None = None


class SourceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[[sources]]: what all connectors share. A connector's own section is a subclass with a tag.

    name: names the source in [[companies]], in the ledger and in logs.
    """

    name: Annotated[str, not_blank]

    @property
    def exclusive_sign_in(self) -> bool:
        """Whether a sign-in uses up a credential, so that only one process at a time may do it."""
        return False

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
    """The whole file, with every path absolute and every identifier canonical."""

    service: ServiceSettings
    delivery: Delivery
    sources: tuple[SourceSettings, ...]
    companies: tuple[Company, ...]
    stages: dict[str, StageSettings] = {}
    monitor: MonitorSettings = MonitorSettings()


Section = TypeVar("Section", Delivery, Company)


def destination(delivery: Delivery, company: Company, path: str) -> Path:
    """The absolute folder of a company: its own if it has one, else that of [delivery].

    path: "purchases", "sales", "statements" or "others_path".
    """
    return company_folder(
        _path_template(delivery, company, path),
        name=company.name,
        identifier=company.identifier,
        accounting_file_id=company.accounting_file_id,
    )


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


def roots_of(config: Config) -> frozenset[Path]:
    """The folders in which those of all companies lie, also of companies that are yet to come.

    Where the templates have no folder in common but the root of a disk, each one is named.
    """
    roots = set()
    for company in config.companies:
        for key in destinations(config.delivery):
            root = fixed_part(_path_template(config.delivery, company, key))
            is_disk = root == Path(root.anchor)
            roots.add(destination(config.delivery, company, key) if is_disk else root)
    return frozenset(roots)


def delivered_to_others(delivery: Delivery) -> tuple[str, ...]:
    """The settings of [delivery] that have something delivered to `others_path`."""
    return tuple(key for key in ("others", "answers") if getattr(delivery, key) == "deliver")


def load_config(
    path: Path, stages: Sequence[str], sections: Sequence[type[SourceSettings]]
) -> Config:
    """Read and check a configuration file. ConfigurationError names all that is wrong with it.

    stages: the names of those that [stages] may size. sections: those that [[sources]] may hold.
    """
    base = Path(os.path.abspath(path)).parent  # noqa: PTH100 - Path.absolute() keeps ".."
    raw = read_toml(path)
    context = LoadContext(Config, {SourceSettings: sections})
    config = convert(raw, Config, context)
    _check_service(raw, context)
    _check_monitor(context)
    _check_sources(raw, context)
    for key, source in context.structs(SourceSettings):
        source.validate(base, key, context)
    _check_companies(context)
    _check_others(context)
    _check_targets(base, context)
    for name in config.stages or ():
        if name not in stages:
            context.add_problem(
                f"stages.{name}", "there is no such stage", suggestion(name, stages, "[stages.{}]")
            )
    if context.problems:
        raise ConfigurationError(str(path), context.problems)
    return structs.replace(
        config,
        service=structs.replace(config.service, state_dir=absolute(base, config.service.state_dir)),
        delivery=_located(base, config.delivery),
        sources=tuple(source.located(base) for source in config.sources),
        companies=tuple(_located(base, company) for company in config.companies),
        monitor=config.monitor.located(base),
    )


def _located(base: Path, section: Section) -> Section:
    """The same section with its paths absolute."""
    changed: dict[str, Any] = {
        name: str(absolute(base, value))
        for name in (*PATHS, "others_path")
        if (value := getattr(section, name, None)) is not None
    }
    return structs.replace(section, **changed)


def _check_service(raw: Mapping[str, Any], context: LoadContext) -> None:
    for key, service in context.structs(ServiceSettings):
        # A default above the limit does no harm, and is nothing that the user has written.
        written = "spool_threshold" in raw[key]
        if not written or not context.is_valid(key, "spool_threshold", "max_document_size"):
            continue
        if service.spool_threshold > service.max_document_size:
            context.add_problem(
                f"{key}.spool_threshold", "this is more than max_document_size", "write less"
            )


def _check_monitor(context: LoadContext) -> None:
    """What other machines can ask needs a token."""
    for key, monitor in context.structs(MonitorSettings):
        if context.is_valid(key, "listen", "token") and monitor.lacks_token:
            context.add_problem(
                f"{key}.token",
                f"this is missing, and other machines can reach {monitor.listen}",
                f'{POINTER}, or listen = "127.0.0.1:8470" for this machine alone',
            )


def _check_sources(raw: Mapping[str, Any], context: LoadContext) -> None:
    """Names of sources are unique, and each company names one of them."""
    # From the raw file, as a source with other errors still counts as existing.
    sources = raw.get("sources")
    rows = sources if isinstance(sources, list) else []
    names = [row.get("name") if isinstance(row, dict) else None for row in rows]
    for number, name in enumerate(names, 1):
        first = names.index(name) + 1
        if isinstance(name, str) and first != number:
            context.add_problem(
                f"sources[{number}].name", f'sources[{first}] is "{name}" too', "rename one"
            )
    known = [name for name in names if isinstance(name, str)]
    for key, company in context.structs(Company):
        if known and context.is_valid(key, "source") and company.source not in known:
            context.add_problem(
                f"{key}.source",
                f'there is no source "{company.source}"',
                suggestion(company.source, known, '"{}"'),
            )


def _check_companies(context: LoadContext) -> None:
    """No company is configured twice for one source."""
    seen: dict[tuple[str, str], str] = {}
    for key, company in context.structs(Company):
        if not context.is_valid(key, "identifier", "source"):
            continue
        first = seen.setdefault((company.identifier, company.source), key)
        if first != key:
            context.add_problem(
                f"{key}.identifier", f"{first} is {company.identifier} too", "remove one of them"
            )


def _check_others(context: LoadContext) -> None:
    """Delivering others, or answers, needs a path."""
    for key, delivery in context.structs(Delivery):
        missing = delivery.others_path is None and context.is_valid(key, "others_path")
        needs = delivered_to_others(delivery)
        if needs and missing:
            context.add_problem(
                f"{key}.others_path",
                f'this is missing, and {needs[0]} = "deliver" needs it',
                'write where others go, like "out/[enterprise_identifier]/others"',
            )


def _check_targets(base: Path, context: LoadContext) -> None:
    """Two companies may share a folder only if the file names distinguish them."""
    targets: dict[tuple[str, ...], tuple[str, Company]] = {}
    for _, delivery in context.structs(Delivery):
        for key, company in context.structs(Company):
            if not context.is_valid(key, "name", "identifier", "accounting_file_id"):
                continue
            paths = [
                path for path in destinations(delivery) if _is_sound(context, key, company, path)
            ]
            lacking = _paths_without_file_number(delivery, company, paths)
            if lacking:
                context.add_problem(
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
                    context.add_problem(
                        f"{key}.{path}",
                        f"{company.name} and {holder.name} ({other}) share the folder {target}"
                        " and the names of their files",
                        "put a variable like [enterprise_identifier] into the path or the name",
                    )


def _is_sound(context: LoadContext, key: str, company: Company, path: str) -> bool:
    """Whether the templates of a company's folder and file names are valid."""
    own = getattr(company, path, None)
    needed = [NAMES[path]] if own else [NAMES[path], path]
    return context.is_valid(key, path) and context.is_valid("delivery", *needed)


def _path_template(delivery: Delivery, company: Company, path: str) -> str:
    template: str = getattr(company, path, None) or getattr(delivery, path)
    return template


def _paths_without_file_number(
    delivery: Delivery, company: Company, paths: Iterable[str]
) -> list[str]:
    """The paths whose templates need a file number that the company doesn't have."""
    if company.accounting_file_id.strip():
        return []
    return [
        path
        for path in paths
        if "accounting_file_id" in variables(_path_template(delivery, company, path))
    ]


def _marks(delivery: Delivery, company: Company, path: str) -> list[str]:
    """The values in file names that identify the company."""
    said = {
        "enterprise_name": company.name,
        "enterprise_identifier": company.identifier,
        "accounting_file_id": company.accounting_file_id,
    }
    template = getattr(delivery, NAMES[path])
    return [sanitize(said[name]).casefold() for name in variables(template) if name in said]
