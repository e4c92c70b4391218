"""Node conditions: what is wrong with the nodes of a cluster, by what all of them see.

What a single process tells of itself, as its disk, is told here of each node by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.alerts import texts
from pipeline.alerts.memory import Condition
from pipeline.alerts.settings import AlertSettings
from pipeline.health.model import Health
from pipeline.nodes import ClusterView, NodeView
from pipeline.text import first_few, sanitized

#: Seconds for which nodes may be configured differently: an edit reaches one after the other.
DIFFERS = 600.0
#: Characters of a reason.
MAX_REASON = 500
#: Seconds within which a process that begins again is told, at least.
BEGUN = 60.0
CLUSTER = "the cluster"
STATE_OF = "the state folder of node {node}"
SHARED = "the shared folder"


def places_of(health: Health) -> dict[str, int | None]:
    """The folder that all nodes share, and the state folder of each; the bytes free there."""
    found: dict[str, int | None] = {SHARED: health.shared_free}
    for one in health.cluster.nodes if health.cluster is not None else ():
        free = one.report.disk_free if one.report is not None else None
        found[STATE_OF.format(node=one.node)] = (
            health.disk_free if one.node == health.node else free
        )
    return found


def node_conditions(health: Health, settings: AlertSettings, now: float) -> Iterator[Condition]:
    """What is wrong with the nodes; nothing where there is no cluster."""
    view = health.cluster
    if view is None:
        return
    yield from _silent(view)
    yield from _ended(view, settings)
    yield from _stuck(view, settings)
    yield from _different(view)
    yield from _overdue(view, now)


def _silent(view: ClusterView) -> Iterable[Condition]:
    for one in view.nodes:
        if not one.is_alive:
            yield Condition(
                "node", one.node, view.at - one.silence, texts.SILENT, alike="node is silent"
            )


def _ended(view: ClusterView, settings: AlertSettings) -> Iterable[Condition]:
    """The nodes that were ended without a stop, and were back before their silence was told."""
    for one in view.alive:
        ended_at = one.ended_at
        if ended_at is None or one.started_at - ended_at >= settings.grace:
            continue
        if view.at - one.started_at < max(settings.grace, BEGUN):
            reason = texts.KILLED_NODE.format(node=one.node)
            yield Condition("ended", _node(one), ended_at, reason, alike="nodes were ended")


def _stuck(view: ClusterView, settings: AlertSettings) -> Iterable[Condition]:
    for one in view.alive:
        if one.report is not None and one.report.silence >= settings.stuck:
            minutes = f"{int(one.report.silence / 60):,}"
            reason = texts.NO_MOVE_ON.format(node=one.node, minutes=minutes)
            yield Condition("stuck", _node(one), view.at - one.report.silence, reason)


def _different(view: ClusterView) -> Iterable[Condition]:
    since = view.differs_since
    if since is None or view.at - since < DIFFERS:
        return
    told = first_few([sentence for one in view.nodes for sentence in one.differs], 3)
    yield Condition("configuration", CLUSTER, since, sanitized("; ".join(told), MAX_REASON))


def _overdue(view: ClusterView, now: float) -> Iterable[Condition]:
    for one in view.overdue:
        minutes = f"{int((now - one.since) / 60):,}"
        counted = {"overdue": f"{one.overdue:,}", "parts": f"{one.parts:,}", "minutes": minutes}
        said = texts.OVERDUE if one.parts == 1 else texts.OVERDUE_PARTS
        yield Condition(
            "overdue", one.source, one.since, said.format(**counted), alike="parts are overdue"
        )


def _node(one: NodeView) -> str:
    return f"node {one.node}"
