"""What `synqup status` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs
from rich.console import Console

from pipeline.app import output
from pipeline.app.push_findings import push_addresses
from pipeline.app.wiring import Config, ledger_place, load_config
from pipeline.ledger.summary import summarise

if TYPE_CHECKING:
    from pipeline.app.cluster_status import ClusterStatus


def print_status(path: Path, *, as_json: bool) -> None:
    """Print what the ledger holds, until when a person is signed in, and where pushes come in.

    The nodes of a cluster come first, and what is overdue there before them; then the sources and
    companies of the configuration.
    """
    settings = load_config(path)
    configured = [source.name for source in settings.sources]
    summary = summarise(ledger_place(settings), configured)
    names = {company.identifier: company.name for company in settings.companies}
    states = (source.sign_in_state(settings.shared_dir) for source in settings.sources)
    sign_ins = {state.source: state for state in states if state is not None}
    pushes = push_addresses(settings)
    cluster = _cluster(settings)
    if as_json:
        told = {**structs.asdict(summary), "sign_ins": sign_ins, "pushes": pushes}
        if cluster is not None:
            from pipeline.app.cluster_status import in_builtins  # noqa: PLC0415 - an extra

            told = {"cluster": in_builtins(cluster), **told}
        print(output.in_json(told))
    else:
        if cluster is not None:
            from pipeline.app.cluster_status import print_cluster  # noqa: PLC0415 - an extra

            print_cluster(Console(), cluster, names)
        output.summary(Console(), summary, names, sign_ins, pushes)


def _cluster(settings: Config) -> ClusterStatus | None:
    """The status of the cluster, of which nothing is imported where there is none."""
    if settings.cluster is None:
        return None
    from pipeline.app.cluster_status import read_status  # noqa: PLC0415 - an extra

    return read_status(settings)
