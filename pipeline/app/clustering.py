"""Clustering: joins a program to the nodes of [cluster], where the configuration has that section.

Without it nothing of the cluster is imported.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import anyio

from pipeline.app.process import exit_now
from pipeline.app.wiring import Application, Config, cluster_dsn
from pipeline.errors import StateError
from pipeline.hints import HintOutcome
from pipeline.source import Source

if TYPE_CHECKING:
    from pipeline.app.unit_poller import UnitPoller
    from pipeline.cluster.cluster import Cluster

#: Seconds that a node is given to end by itself when the others take over its work.
LAST_RESORT = 4.0
#: Its exit status then: that of any StateError, by exit_codes, which knows of what imports this.
STATUS = 1


@asynccontextmanager
async def joined(config: Config) -> AsyncIterator[Cluster | None]:
    """Be a node of the cluster while the block runs; None where there is no [cluster].

    Raises StateError where the node can't join; and in the block, from a task beside it, when it
    has lost the others, or the database went back. Should the process not end then by itself, it is
    ended.
    """
    if config.cluster is None:
        yield None
        return
    dsn = cluster_dsn(config)
    from pipeline.cluster.join import open_cluster  # noqa: PLC0415 - its libraries are an extra

    ended = threading.Event()

    def abandon(error: StateError) -> None:
        if not ended.wait(LAST_RESORT):
            exit_now(STATUS, lambda: print(error, file=sys.stderr))

    try:
        name = config.cluster.name
        shared_dir = config.cluster.shared_dir
        async with open_cluster(dsn, name, version("synqup"), abandon, shared_dir) as cluster:
            cluster.configured(config)
            try:
                yield cluster
            finally:
                with anyio.CancelScope(shield=True):
                    await cluster.stop()
    finally:
        ended.set()


def is_alive_by(cluster: Cluster | None) -> Callable[[str], bool]:
    """Whether a node is counted on, by its name; without a cluster each is, and is never asked."""
    return cluster.is_alive if cluster is not None else lambda _: True


def unit_poller(
    settings: object,
    source: Source,
    application: Application,
    config: Config,
    cluster: Cluster,
    hinted: Callable[[HintOutcome], None] = lambda _: None,
) -> UnitPoller:
    """What polls the parts of a source that fall to this node."""
    from pipeline.app.unit_poller import UnitPoller  # noqa: PLC0415 - its libraries are an extra

    return UnitPoller(settings, source, application, config, cluster, hinted=hinted)
