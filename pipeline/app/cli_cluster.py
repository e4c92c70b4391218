"""Cluster commands: `adopt` a machine that has worked alone, `accept` an older database."""

from __future__ import annotations

import typer

from pipeline.app.cli_common import ConfigFile, stopped_by_signals
from pipeline.app.exit_codes import ExitCode

cluster = typer.Typer(
    name="cluster",
    help="Begin a cluster with this machine, and look after its database.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@cluster.command()
def adopt(config: ConfigFile) -> None:
    """Carry the ledger of this machine over into the cluster, with sign-ins and quarantine.

    The configuration has [cluster] already; its database is empty, and no node runs. What breaks it
    off does no harm: call it again. Exit status: 0 all carried over, 1 nothing changed yet.
    """
    with stopped_by_signals(ExitCode.INTERRUPTED):
        from pipeline.app.command_cluster import adopt_ledger

        adopt_ledger(config.resolve())


@cluster.command()
def accept(config: ConfigFile) -> None:
    """Let the nodes go on with a database that is older than it was: one put back from a backup.

    No node may run meanwhile. What was delivered since its time, and not acknowledged, comes once
    more.
    """
    with stopped_by_signals(ExitCode.INTERRUPTED):
        from pipeline.app.command_cluster import accept_database

        accept_database(config.resolve())
