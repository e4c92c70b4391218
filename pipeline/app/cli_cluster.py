"""Cluster commands: `synqup cluster adopt`."""

from __future__ import annotations

import typer

from pipeline.app.cli_common import ConfigFile, stopped_by_signals
from pipeline.app.exit_codes import ExitCode

cluster = typer.Typer(
    name="cluster",
    help="Make this machine the first node of a cluster.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@cluster.callback()
def _group() -> None: ...


@cluster.command()
def adopt(config: ConfigFile) -> None:
    """Carry the ledger of this machine over into the cluster, with sign-ins and quarantine.

    The configuration has [cluster] already; its database is empty, and no node runs. What breaks it
    off does no harm: call it again. Exit status: 0 all carried over, 1 nothing changed yet.
    """
    with stopped_by_signals(ExitCode.INTERRUPTED):
        from pipeline.app.command_cluster import adopt_ledger

        adopt_ledger(config.resolve())
