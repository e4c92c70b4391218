"""Cluster status: what `synqup status` tells of the nodes, by the configuration of any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs
from rich.console import Console
from rich.text import Text

from pipeline.app.output import MAX_LINES, local_time
from pipeline.app.wiring import Config, cluster_dsn, companies_of
from pipeline.cluster.database import Database, DatabaseLost
from pipeline.cluster.slices import ALL, within
from pipeline.cluster.view import Viewer
from pipeline.errors import StateError
from pipeline.nodes import ClusterView, NodeView, OverduePart, StagedLeft
from pipeline.text import first_few, printable

#: Seconds that one statement may take.
LIMIT = 20.0
#: Companies of a part that are named, and folders of a node.
NAMED = 3


class ClusterStatus(Struct, frozen=True):
    """The view of a cluster, and the identifiers of the companies of the parts that it names.

    companies: by source and part. A part that is all of its source has them all, and is left out.
    """

    view: ClusterView
    companies: Mapping[str, Mapping[str, Sequence[str]]] = {}


def read_status(config: Config) -> ClusterStatus | None:
    """Read the status of the cluster; None where there is no [cluster]. Raises StateError."""
    if config.cluster is None:
        return None
    database = Database(cluster_dsn(config), "synqup status", LIMIT)
    try:
        view = database.run(Viewer().read)
    except DatabaseLost as error:
        raise StateError(error.subject, error.reason, error.remedy) from None
    finally:
        database.close()
    return ClusterStatus(view, _companies(view, config))


def _companies(view: ClusterView, config: Config) -> Mapping[str, Mapping[str, Sequence[str]]]:
    named = [(one.source, one.slice) for node in view.nodes for one in node.in_hand]
    named += [(one.source, one.slice) for one in view.late]
    found: dict[str, dict[str, Sequence[str]]] = {}
    known: dict[str, list[str]] = {}
    for source, slice_ in named:
        if slice_ != ALL:
            of_source = known.get(source)
            if of_source is None:
                of_source = known[source] = companies_of(config, source)
            found.setdefault(source, {})[slice_] = sorted(within(slice_, of_source))
    return found


def in_builtins(status: ClusterStatus) -> dict[str, Any]:
    """The same for JSON: what is worst comes first."""
    view = status.view
    first = {"overdue": view.overdue, "late": view.late}
    return {**first, **structs.asdict(view), "companies": status.companies}


def print_cluster(console: Console, status: ClusterStatus, names: Mapping[str, str]) -> None:
    """Print the status. names: of companies, by their identifiers."""
    for words, style in _lines(status, names):
        console.print(Text(printable(words), style=style), soft_wrap=True, highlight=False)


def _lines(status: ClusterStatus, names: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    view = status.view

    def part(source: str, slice_: str) -> str:
        if slice_ == ALL:
            return source
        found = status.companies.get(source, {}).get(slice_, ())
        said = first_few([names.get(one, one) for one in found], NAMED)
        return f"{source}, part {slice_} ({_count(len(found), 'company', 'companies')}" + (
            f": {'; '.join(said)})" if said else ")"
        )

    yield from _overdue(view, part)
    for node in view.nodes:
        yield from _node(node, part)
    if not view.nodes:
        yield "cluster: no node has joined it", "yellow"
    if view.staged_count:
        yield f"Staged for more than a minute: {view.staged_count:,}", "bold"
        yield from ((f"  {_staged(one)}", "yellow") for one in view.staged)
    jobs = view.jobs
    stalled = f", {jobs.stalled:,} stalled" if jobs.stalled else ""
    yield f"jobs: {jobs.waiting:,} waiting, {jobs.doing:,} in hand{stalled}", ""
    for source, seconds in view.pauses.items():
        yield f"source {source} has asked all nodes to leave it alone for {_for(seconds)}", "yellow"
    database = view.database
    analyzed = "never" if database.analyzed_at is None else local_time(database.analyzed_at)
    trip, commit = f"{database.round_trip * 1000:,.1f} ms", database.synchronous_commit
    said = f"ledger: reached in {trip}, synchronous_commit = {commit}"
    yield f"{said}, table of jobs analyzed: {analyzed}", ""


def _overdue(view: ClusterView, part: Callable[[str, str], str]) -> Iterable[tuple[str, str]]:
    for one in view.overdue[:MAX_LINES]:
        parts = f"{one.overdue:,} of {_count(one.parts, 'part', 'parts')}"
        yield f"source {one.source}: overdue since {local_time(one.since)}, {parts}", "red"
    if len(view.overdue) > MAX_LINES:
        yield f"and {len(view.overdue) - MAX_LINES:,} sources more", "red"
    yield from ((f"  {_late(one, part)}", "red") for one in view.late)


def _late(one: OverduePart, part: Callable[[str, str], str]) -> str:
    whose = f", last polled by node {one.node}" if one.node else ", polled by no node so far"
    return f"{part(one.source, one.slice)}: overdue for {_for(one.seconds)}{whose}"


def _node(node: NodeView, part: Callable[[str, str], str]) -> Iterable[tuple[str, str]]:
    where = f"node {node.node} ({node.host}, {node.version})"
    if node.is_alive:
        yield f"{where}: alive, heartbeat {node.silence:,.0f} s ago", ""
    else:
        yield f"{where}: silent for {_for(node.silence)}; the others take over its work", "red"
    for one in node.in_hand[:MAX_LINES]:
        taken = f", taken over from node {one.taken_from}" if one.taken_from else ""
        yield f"  polls {part(one.source, one.slice)}{taken}", ""
    if len(node.in_hand) > MAX_LINES:
        yield f"  and {len(node.in_hand) - MAX_LINES:,} parts more", ""
    for sentence in node.differs:
        yield f"  its configuration differs: {sentence}", "red"
    report = node.report
    if report is None:
        return
    for source, why in report.sources.items():
        yield f"  can't open source {source}: {_why(why.reason, why.remedy)}", "red"
    for folder, why in list(report.folders.items())[:NAMED]:
        yield f"  can't deliver into {folder}: {_why(why.reason, why.remedy)}", "red"
    more = report.more + max(len(report.folders) - NAMED, 0)
    if more:
        yield f"  nor into {_count(more, 'folder', 'folders')} more", "red"


def _staged(one: StagedLeft) -> str:
    said = f"{one.label} of source {one.source}, {_for(one.seconds)} ago"
    if not one.node:
        return said
    if one.is_alive:
        return f"{said}, in hand of node {one.node}, which is alive"
    silent = "not there any more" if one.silence is None else f"silent for {_for(one.silence)}"
    return f"{said}, written by node {one.node}, {silent}; taken over at the next poll"


def _why(reason: str, remedy: str) -> str:
    return f"{reason}. {remedy}" if remedy else reason


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _for(seconds: float) -> str:
    """Seconds that have passed, for people."""
    for size, word in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {word}"
    return f"{seconds:,.0f} s"
