"""Cluster metrics: what Prometheus is told of the nodes; nothing where there is no cluster.

All but the heartbeat is of the whole cluster, and the same whichever node is asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily as Gauge, Metric

from pipeline.health.model import Health


def cluster_metrics(health: Health) -> Iterator[Metric]:
    """The metrics of the nodes as one of them sees them."""
    view = health.cluster
    if view is None:
        return
    nodes = Gauge(
        "synqup_cluster_nodes",
        "Nodes that are counted on, and those that are silent.",
        labels=["state"],
    )
    alive = len(view.alive)
    nodes.add_metric(["alive"], alive)
    nodes.add_metric(["silent"], len(view.nodes) - alive)
    yield nodes
    own = next((one for one in view.nodes if one.node == health.node), None)
    if own is not None:
        yield Gauge(
            "synqup_cluster_heartbeat_age_seconds", "Since the heartbeat of this node.", own.silence
        )
    yield Gauge(
        "synqup_cluster_overdue_parts",
        "Parts of sources that are overdue by more than two intervals.",
        sum(one.overdue for one in view.overdue),
    )
    jobs = Gauge("synqup_cluster_jobs", "Polls of parts of sources.", labels=["state"])
    jobs.add_metric(["waiting"], view.jobs.waiting)
    jobs.add_metric(["doing"], view.jobs.doing)
    jobs.add_metric(["stalled"], view.jobs.stalled)
    yield jobs
    yield Gauge(
        "synqup_cluster_staged_documents",
        "Documents that have lain ready for more than a minute.",
        view.staged_count,
    )
    yield Gauge(
        "synqup_cluster_configurations_differ",
        "Whether nodes are configured differently.",
        view.differs_since is not None,
    )
    yield Gauge(
        "synqup_cluster_round_trip_seconds",
        "What one question to the database takes.",
        view.database.round_trip,
    )
