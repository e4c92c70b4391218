"""Whole health: that of all nodes of a cluster, made of what one knows itself and what all tell.

Which parts of sources are polled, and how that goes, the database knows. What only the node knows
that it happens to, as a folder that refuses documents, each node tells the others: a NodeReport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Protocol

import anyio
import structlog
from msgspec import structs

from pipeline.engine.observer import Snapshot
from pipeline.errors import SynqupError
from pipeline.health.collector import Collector, Deliveries
from pipeline.health.model import DestinationHealth, Health, SourceHealth, Trouble
from pipeline.health.refreshed import Refreshed
from pipeline.nodes import ClusterView, NodeReport, NodeView, PolledSource, Reason

log = structlog.get_logger(__name__)

#: Seconds between two reports; and for which a view is good.
REPORT_INTERVAL, VIEW_AGE = 5.0, 2.0
#: Reports after which a node looks at the others, should nobody ask it how they are.
LOOK_EVERY = 6
#: Folders, and sources, that a report names.
NAMED = 50
#: Seconds for which a folder counts as refusing documents that only one node can't deliver there.
STILL = 600.0


class Sight(Protocol):
    """What tells the other nodes, and sees them."""

    @property
    def node(self) -> str:
        """The name of this node."""

    async def view(self) -> ClusterView:
        """What is seen now. Raises SynqupError."""

    async def report(self, report: NodeReport) -> None:
        """Tell the others. Raises SynqupError."""


class WholeCollector:
    """Tells the health of all nodes, as Collector does that of one. For the event loop alone."""

    def __init__(
        self,
        own: Collector,
        sight: Sight,
        snapshot: Callable[[], Snapshot],
        deliveries: Deliveries,
        unopened: Callable[[], Iterable[str]],
    ) -> None:
        """own: of this node. unopened: the configured sources that it can't open."""
        self._own = own
        self._sight = sight
        self._snapshot = snapshot
        self._deliveries = deliveries
        self._unopened = unopened
        self._view: Refreshed[ClusterView | None]
        self._view = Refreshed("nodes", sight.view, None, VIEW_AGE)

    async def run(self) -> None:
        """Read what takes time, and tell the others of this node; until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._own.run)
            group.start_soon(self._view.run)
            for number in count():
                if number % LOOK_EVERY == 0:
                    await self._view.get()
                try:
                    await self._sight.report(await self._report())
                except SynqupError as error:
                    log.info("the other nodes are told later", reason=str(error))
                await anyio.sleep(REPORT_INTERVAL)

    async def current(self) -> Health:
        """The health now; that of this node alone before the first view."""
        health = await self._own.current()
        view = await self._view.get()
        return whole(health, view, self._sight.node) if view is not None else health

    def others(self) -> tuple[NodeView, ...]:
        """The other nodes that are alive, as they were seen last."""
        view = self._view.value
        alive = view.alive if view is not None else ()
        return tuple(one for one in alive if one.node != self._sight.node)

    async def _report(self) -> NodeReport:
        health = await self._own.current()
        others = self.others()
        refusing = {
            folder for one in others if one.report is not None for folder in one.report.folders
        }
        return report_of(
            health,
            self._snapshot(),
            self._deliveries.refused,
            {
                folder: at
                for folder in sorted(refusing)
                if (at := self._deliveries.taken.get(Path(folder))) is not None
            },
            frozenset(self._unopened()),
        )


def report_of(
    health: Health,
    snapshot: Snapshot,
    refused: Mapping[Path, float],
    taken: Mapping[str, float],
    unopened: frozenset[str],
) -> NodeReport:
    """What a node tells of itself, out of its own health. refused, taken: as NodeReport's."""
    failing = [one for one in health.destinations if one.trouble is not None]
    return NodeReport(
        silence=max(health.at - health.progress_at, 0.0),
        disk_free=health.disk_free,
        folders={
            one.folder: Reason(
                one.trouble.since,
                one.trouble.reason,
                one.trouble.remedy,
                refused.get(Path(one.folder), health.at),
            )
            for one in failing[:NAMED]
            if one.trouble is not None
        },
        more=max(len(failing) - NAMED, 0),
        taken=dict(taken),
        sources={
            one.name: Reason(one.trouble.since, one.trouble.reason, one.trouble.remedy)
            for one in health.sources
            if one.name in unopened and one.trouble is not None
        },
        sign_ins={
            one.name: one.sign_in_ends_at
            for one in health.sources
            if one.sign_in_ends_at is not None
        },
        in_flight={name: one.in_flight for name, one in snapshot.sources.items() if one.in_flight},
        queues={
            name: (one.queue.documents, one.queue.max_documents)
            for name, one in snapshot.stages.items()
        },
    )


def whole(own: Health, view: ClusterView, node: str) -> Health:
    """The health of all nodes, by what one of them knows itself and what it sees."""
    # What is wrong with a folder is so, too, when the node that has found it is stopped.
    reports = [(one.node, one.report) for one in view.nodes if one.report is not None]
    reports += view.left.items()
    polled = {one.source: one for one in view.sources}
    sources = tuple(
        _source(one, polled.get(one.name), [report for _, report in reports]) for one in own.sources
    )
    return structs.replace(
        own,
        sources=sources,
        destinations=_destinations(own.destinations, reports, node, view.at),
        cluster=view,
        node=node,
    )


def _source(
    own: SourceHealth, polled: PolledSource | None, reports: Sequence[NodeReport]
) -> SourceHealth:
    ends = [report.sign_ins[own.name] for report in reports if own.name in report.sign_ins]
    if own.sign_in_ends_at is not None:
        ends.append(own.sign_in_ends_at)
    # A node that has not renewed it knows of the sign-in before.
    ends_at = max(ends, default=None)
    if polled is None:
        # No node that is alive can poll it.
        return structs.replace(own, sign_in_ends_at=ends_at)
    failed = polled.failed
    return SourceHealth(
        own.name,
        polled.completed_at,
        Trouble(failed.since, failed.reason, failed.remedy) if failed is not None else None,
        ends_at,
        polled.paused_at,
        polled.paused_by,
    )


def _destinations(
    own: tuple[DestinationHealth, ...],
    reports: Sequence[tuple[str, NodeReport]],
    node: str,
    now: float,
) -> tuple[DestinationHealth, ...]:
    """The folders, with what is wrong with each on this node, or else on another one.

    Where one node can't deliver and another has since, it is over a while after the last refusal.
    """
    taken: dict[str, float] = {}
    for _, report in reports:
        for folder, at in report.taken.items():
            taken[folder] = max(taken.get(folder, 0.0), at)
    refusing: dict[str, Trouble] = {}
    is_over: set[str] = set()
    for name, report in reports:
        for folder, why in report.folders.items():
            if taken.get(folder, 0.0) > why.latest and now - why.latest > STILL:
                is_over |= {folder} if name == node else set()
            elif name != node:
                said = f"{why.reason} (node {name})"
                refusing.setdefault(folder, Trouble(why.since, said, why.remedy))
    if not refusing and not is_over:
        return own
    return tuple(
        structs.replace(one, trouble=refusing.get(one.folder))
        if one.folder in is_over or (one.trouble is None and one.folder in refusing)
        else one
        for one in own
    )
