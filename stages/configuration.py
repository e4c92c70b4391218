"""Configuration: reads the file, and checks what only several sections together tell.

Connectors bring their own [[sources]] sections, which are passed to `load_config`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs

from pipeline.alerts.settings import check_alerts
from pipeline.config.cluster import ClusterSettings, lies_in
from pipeline.config.include import read_config
from pipeline.config.loader import POINTER, LoadContext, convert, suggestion
from pipeline.config.monitor import MonitorSettings
from pipeline.config.push import PushSettings
from pipeline.config.types import (
    ServiceSettings,
    absolute,
)
from pipeline.errors import ConfigurationError
from stages.naming.names import sanitize
from stages.naming.templates import variables
from stages.settings import (
    NAMES,
    PATHS,
    Company,
    Config,
    Delivery,
    SourceSettings,
    delivered_to_others,
    destination,
    destinations,
    path_template,
)

Section = TypeVar("Section", Delivery, Company)


def load_config(
    path: Path,
    stages: Sequence[str],
    sections: Sequence[type[SourceSettings]],
    edited: Mapping[Path, bytes] | None = None,
) -> Config:
    """Read and check a configuration file. ConfigurationError names all that is wrong with it.

    stages: the names of those that [stages] may size. sections: those that [[sources]] may hold.
    edited: as read_config() takes it.
    """
    base = Path(os.path.abspath(path)).parent  # noqa: PTH100 - Path.absolute() keeps ".."
    table = read_config(path, edited)
    raw = table.raw
    context = LoadContext(Config, {SourceSettings: sections}, table.shown)
    config = convert(raw, Config, context)
    _check_service(raw, context)
    _check_cluster(base, context)
    _check_monitor(context)
    _check_push(context)
    _check_sources(raw, context)
    for key, source in context.structs(SourceSettings):
        source.validate(base, key, context)
    _check_companies(context)
    _check_others(context)
    _check_targets(base, context)
    check_alerts(raw.get("alerts"), base, context)
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
        alerts=config.alerts.located(base),
        cluster=config.cluster and config.cluster.located(base),
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


def _check_cluster(base: Path, context: LoadContext) -> None:
    """What all nodes share can't lie where each of them has its own; and each has a name."""
    for key, cluster in context.structs(ClusterSettings):
        if context.is_valid(key, "node") and (what := cluster.problem_of_name()):
            context.add_problem(f"{key}.node", what, 'write node = "NAME"')
        for service_key, service in context.structs(ServiceSettings):
            if not context.is_valid(key, "shared_dir"):
                continue
            if not context.is_valid(service_key, "state_dir"):
                continue
            shared, own = absolute(base, cluster.shared_dir), absolute(base, service.state_dir)
            if lies_in(shared, own) or lies_in(own, shared):
                context.add_problem(
                    f"{key}.shared_dir",
                    f"this and state_dir ({own}) lie in one another, and each node has a state_dir"
                    " of its own",
                    "name a folder beside it, which all nodes see",
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


def _check_push(context: LoadContext) -> None:
    """The monitor and the receiver of pushes can't listen at one port."""
    for monitor_key, monitor in context.structs(MonitorSettings):
        for key, push in context.structs(PushSettings):
            if not (context.is_valid(key, "listen") and context.is_valid(monitor_key, "listen")):
                continue
            if push.address is not None and push.address.port and push.listen == monitor.listen:
                context.add_problem(
                    f"{key}.listen", "[monitor] listens there", "write another port"
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
                f"sources[{number}].name",
                f'{context.shown(f"sources[{first}]")} is "{name}" too',
                "rename one",
            )
    known = [name for name in names if isinstance(name, str)]
    for key, company in context.structs(Company):
        if not context.is_valid(key, "source", "sources"):
            continue
        if not company.memberships:
            context.add_problem(
                f"{key}.source", "this is missing", "name the source that holds its documents"
            )
        for one in company.memberships:
            if known and one.source and one.source not in known:
                context.add_problem(
                    f"{key}.{'source' if one.source == company.source else 'sources'}",
                    f'there is no source "{one.source}"',
                    suggestion(one.source, known, '"{}"'),
                )


def _check_companies(context: LoadContext) -> None:
    """No company is configured twice for one source, but under several ids of that source."""
    seen: dict[tuple[str, str, str | None], str] = {}
    for key, company in context.structs(Company):
        if not context.is_valid(key, "identifier", "source", "sources", "platform_id"):
            continue
        for one in company.memberships:
            id_ = one.id if one in company.sources else None
            first = seen.setdefault((company.identifier, one.source, id_), key)
            if first != key:
                context.add_problem(
                    f"{key}.identifier",
                    f"{context.shown(first)} is {company.identifier} too",
                    "remove one of them",
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
        located = _located(base, delivery)
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
                target = destination(located, _located(base, company), path)
                marks = _marks(delivery, company, path)
                other, holder = targets.setdefault((str(target).casefold(), *marks), (key, company))
                if holder.identifier != company.identifier:
                    context.add_problem(
                        f"{key}.{path}",
                        f"{company.name} and {holder.name} ({context.shown(other)}) share the"
                        f" folder {target} and the names of their files",
                        "put a variable like [enterprise_identifier] into the path or the name",
                    )


def _is_sound(context: LoadContext, key: str, company: Company, path: str) -> bool:
    """Whether the templates of a company's folder and file names are valid."""
    own = getattr(company, path, None)
    needed = [NAMES[path]] if own else [NAMES[path], path]
    return context.is_valid(key, path) and context.is_valid("delivery", *needed)


def _paths_without_file_number(
    delivery: Delivery, company: Company, paths: Iterable[str]
) -> list[str]:
    """The paths whose templates need a file number that the company doesn't have."""
    if company.accounting_file_id.strip():
        return []
    return [
        path
        for path in paths
        if "accounting_file_id" in variables(path_template(delivery, company, path))
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
