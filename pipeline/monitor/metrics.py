"""Metrics: what Prometheus is told, made of the engine's snapshot and the health when it asks.

Nothing is counted for it that is not counted anyway. No label holds a name of a company, a document
or a folder; docs/monitoring.md describes each metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily as CounterFamily,
    GaugeMetricFamily as Gauge,
    HistogramMetricFamily as Histogram,
    Metric,
)
from prometheus_client.registry import Collector

from pipeline.engine.acknowledger import NAME as ACKNOWLEDGE
from pipeline.engine.breaker import BreakerState
from pipeline.engine.counters import BUCKETS
from pipeline.engine.observer import QueueSnapshot, Snapshot, StageSnapshot
from pipeline.health.model import Health
from pipeline.ledger.models import State
from pipeline.monitor.cluster_metrics import cluster_metrics

#: The media type of generate_latest().
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """The metrics in a registry of their own, with those of the process where the system has them.

    For the event loop alone.
    """

    def __init__(self) -> None:
        self._families: list[Metric] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(
        self, health: Health, snapshot: Snapshot, delivered: Mapping[tuple[str, str], int]
    ) -> bytes:
        """The metrics in the text format of Prometheus. delivered: by source and kind."""
        self._families = [
            *_service(health),
            *_documents(snapshot, delivered),
            *_stages(snapshot.stages),
            *_queues(snapshot),
            *_sources(health, snapshot),
            *_destinations(health),
            *_ledger(health),
            *cluster_metrics(health),
        ]
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the latest render() is of."""
        return iter(self._families)

    def describe(self) -> Iterator[Metric]:
        """Nothing is to be known of them before they are asked for."""
        return iter(())


def _service(health: Health) -> Iterator[Metric]:
    info = Gauge("synqup_info", "The version of synqup.", labels=["version"])
    info.add_metric([version("synqup")], 1)
    yield info
    yield Gauge("synqup_ready", "Whether every source and destination works.", health.ready)
    yield Gauge(
        "synqup_start_timestamp_seconds", "When the service was started.", health.started_at
    )
    yield Gauge(
        "synqup_progress_timestamp_seconds",
        "When the engine last made progress, or had nothing to do.",
        health.progress_at,
    )


def _documents(snapshot: Snapshot, delivered: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    listed = CounterFamily(
        "synqup_documents_listed", "Documents that were new in a list.", labels=["source"]
    )
    ends = CounterFamily(
        "synqup_documents",
        "Documents that came to an end; waiting is the end of one try.",
        labels=["source", "end"],
    )
    size = CounterFamily(
        "synqup_delivered_bytes", "Bytes of the documents delivered.", labels=["source"]
    )
    in_flight = Gauge(
        "synqup_in_flight_documents", "Documents between their list and end.", labels=["source"]
    )
    kinds = CounterFamily(
        "synqup_delivered_documents", "Documents delivered.", labels=["source", "kind"]
    )
    for name, source in snapshot.sources.items():
        listed.add_metric([name], source.counters.listed)
        size.add_metric([name], source.counters.bytes)
        in_flight.add_metric([name], source.in_flight)
        for end, count in source.counters.ends.items():
            ends.add_metric([name, end.value], count)
    for (name, kind), count in sorted(delivered.items()):
        kinds.add_metric([name, kind], count)
    yield from (listed, ends, size, in_flight, kinds)


def _stages(stages: Mapping[str, StageSnapshot]) -> Iterator[Metric]:
    results = CounterFamily(
        "synqup_stage_documents",
        "Documents by what a stage made of them.",
        labels=["stage", "result"],
    )
    seconds = Histogram(
        "synqup_stage_group_seconds",
        "Seconds that a stage worked on one group of documents.",
        labels=["stage"],
    )
    workers = Gauge("synqup_stage_workers", "Workers of a stage.", labels=["stage"])
    for name, stage in stages.items():
        counters = stage.counters
        workers.add_metric([name], stage.workers)
        results.add_metric([name, "passed"], counters.passed)
        results.add_metric([name, "refetched"], counters.refetched)
        for end in (State.DUPLICATE, State.SKIPPED, State.QUARANTINED, State.WAITING):
            results.add_metric([name, end.value], counters.ended.get(end, 0))
        bounds = [*map(str, BUCKETS), "+Inf"]
        buckets = list(zip(bounds, accumulate(counters.groups), strict=True))
        seconds.add_metric([name], buckets, counters.seconds)
    yield from (results, seconds, workers)


def _queues(snapshot: Snapshot) -> Iterator[Metric]:
    queues: dict[str, QueueSnapshot] = {
        **{name: stage.queue for name, stage in snapshot.stages.items()},
        ACKNOWLEDGE: snapshot.acknowledgements,
    }
    for field, says in (
        ("documents", "Documents in a queue, and in hand behind it."),
        ("max_documents", "The bound of a queue, in documents."),
        ("bytes", "Bytes of memory of what is in a queue, and in hand behind it."),
        ("max_bytes", "The bound of a queue, in bytes."),
    ):
        gauge = Gauge(f"synqup_queue_{field}", says, labels=["queue"])
        for name, queue in queues.items():
            gauge.add_metric([name], getattr(queue, field))
        yield gauge


def _sources(health: Health, snapshot: Snapshot) -> Iterator[Metric]:
    working = Gauge(
        "synqup_source_working", "Whether the latest poll went well.", labels=["source"]
    )
    since = Gauge(
        "synqup_source_failing_since_timestamp_seconds",
        "When the first poll failed since the last one that went well.",
        labels=["source"],
    )
    polled = Gauge(
        "synqup_source_last_good_poll_timestamp_seconds",
        "When a poll last went well.",
        labels=["source"],
    )
    left = Gauge(
        "synqup_source_sign_in_left_seconds",
        "Seconds until its user has to sign in again.",
        labels=["source"],
    )
    opened = Gauge(
        "synqup_source_breaker_open", "Whether its circuit breaker is open.", labels=["source"]
    )
    paused = Gauge("synqup_source_paused", "Whether somebody has paused it.", labels=["source"])
    hints = CounterFamily(
        "synqup_hints",
        "Hints that a source has something new, such as pushes, by what became of them.",
        labels=["source", "outcome"],
    )
    for one in health.sources:
        paused.add_metric([one.name], one.paused_since is not None)
        is_working = one.works
        working.add_metric([one.name], is_working)
        if one.trouble is not None:
            since.add_metric([one.name], one.trouble.since)
        if one.last_good_poll is not None:
            polled.add_metric([one.name], one.last_good_poll)
        if one.sign_in_ends_at is not None:
            left.add_metric([one.name], one.sign_in_ends_at - health.at)
        if (known := snapshot.sources.get(one.name)) is not None:
            opened.add_metric([one.name], known.breaker is BreakerState.OPEN)
            for outcome, count in sorted(known.hints.items()):
                hints.add_metric([one.name, outcome.value], count)
    yield from (working, paused, since, polled, left, opened, hints)


def _destinations(health: Health) -> Iterator[Metric]:
    states = Gauge("synqup_destinations", "Destination folders.", labels=["state"])
    failing = sum(one.trouble is not None for one in health.destinations)
    states.add_metric(["working"], len(health.destinations) - failing)
    states.add_metric(["failing"], failing)
    yield states
    free = Gauge(
        "synqup_disk_free_bytes",
        "Bytes free on the disk of the state folder, of the folder that all nodes of a cluster"
        " share, and on the fullest disk of destinations.",
        labels=["disk"],
    )
    if health.disk_free is not None:
        free.add_metric(["state"], health.disk_free)
    if health.shared_free is not None:
        free.add_metric(["shared"], health.shared_free)
    known = [one.free_bytes for one in health.destinations if one.free_bytes is not None]
    if known:
        free.add_metric(["destinations"], min(known))
    yield free


def _ledger(health: Health) -> Iterator[Metric]:
    documents = Gauge(
        "synqup_ledger_documents", "Documents that still need something.", labels=["state"]
    )
    for state in ("quarantined", "waiting", "staged", "unacknowledged"):
        documents.add_metric([state], getattr(health, state))
    yield documents
    yield Gauge("synqup_ledger_bytes", "Bytes of the ledger's files.", health.ledger_bytes)
    yield Gauge(
        "synqup_ledger_writable", "Whether the ledger can be written.", health.state is None
    )
