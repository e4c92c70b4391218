"""Node turns: what this node takes turns with others by, where it is one of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.config.cluster import ClusterSettings
from pipeline.config.secrets import read_secret
from pipeline.errors import ConfigurationError
from pipeline.turns import Turns


@contextmanager
def node_turns(cluster: ClusterSettings | None) -> Iterator[Turns | None]:
    """The turns of the nodes, whose database is asked when one is needed; None without a cluster.

    SecretMissing if its connection string can't be read; ConfigurationError without its packages.
    """
    if cluster is None:
        yield None
        return
    try:
        from pipeline.cluster.database import Database  # noqa: PLC0415 - an extra
        from pipeline.cluster.turns import NodeTurns  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "[cluster]", [f"{error.name} is missing; install synqup[cluster]"]
        ) from None
    database = Database(read_secret(cluster.dsn), f"synqup {cluster.node_name}, sign-ins")
    try:
        yield NodeTurns(database)
    finally:
        database.close()
