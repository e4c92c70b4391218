"""Node turns: the folder that the nodes of a cluster share, and what they take turns there by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.config.cluster import ClusterSettings
from pipeline.config.secrets import read_secret
from pipeline.errors import ConfigurationError
from pipeline.turns import Turns

if TYPE_CHECKING:
    from pipeline.cluster.database import Database


@contextmanager
def node_turns(cluster: ClusterSettings | None) -> Iterator[Turns | None]:
    """The turns of the nodes, whose shared folder is seen to be the right one; None without any.

    Blocks while the database is asked. StateError if it is another folder; RetryableError if the
    database can't be reached; SecretMissing; ConfigurationError where packages are missing.
    """
    if cluster is None:
        yield None
        return
    with _database(cluster) as database:
        from pipeline.cluster.shared_marker import claim_marker  # noqa: PLC0415 - an extra
        from pipeline.cluster.turns import NodeTurns  # noqa: PLC0415 - an extra

        claim_marker(cluster.shared_dir, database)
        yield NodeTurns(database)


def compare_shared_folder(cluster: ClusterSettings) -> None:
    """See whether the shared folder is the one of the other nodes; errors as of node_turns().

    StateError also if the database is older than one with which they have worked.
    """
    with _database(cluster) as database:
        from pipeline.cluster.generation import compare_generation  # noqa: PLC0415 - an extra
        from pipeline.cluster.shared_marker import compare_marker  # noqa: PLC0415 - an extra

        compare_marker(cluster.shared_dir, database)
        compare_generation(cluster.shared_dir, database)


@contextmanager
def _database(cluster: ClusterSettings) -> Iterator[Database]:
    try:
        from pipeline.cluster.database import Database  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "[cluster]", [f"{error.name} is missing; install synqup[cluster]"]
        ) from None
    database = Database(read_secret(cluster.dsn), f"synqup {cluster.name}, sign-ins")
    try:
        yield database
    finally:
        database.close()
