"""The scenarios by their names: each measures one promise of speed and returns a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.report import Report
from benchmarks.scenarios import (
    adaptive,
    backpressure,
    ceilings,
    classify,
    cluster,
    durable,
    far,
    page,
    peers,
    scale,
    shares,
    startup,
)
from benchmarks.workplace import Workplace

SCENARIOS: Mapping[str, Callable[[Workplace], Report]] = {
    "peers": peers.measure,
    "ceilings": ceilings.measure,
    "durable": durable.measure,
    "far": far.measure,
    "adaptive": adaptive.measure,
    "startup": startup.measure,
    "scale": scale.measure,
    "backpressure": backpressure.measure,
    "shares": shares.measure,
    "classify": classify.measure,
    "page": page.measure,
    "cluster": cluster.measure,
}

#: Those that are measured only where they are named, for they take minutes.
ON_REQUEST = frozenset({"page", "cluster"})
