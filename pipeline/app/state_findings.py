"""State findings: what `synqup check` says of the state folder and the shared one as such."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pipeline.app.identity import check_state
from pipeline.app.node_note import check_kind
from pipeline.app.node_turns import compare_shared_folder
from pipeline.app.wiring import Config, Finding, folders_of, ledger_place
from pipeline.config.types import SECONDS
from pipeline.errors import StateError, SynqupError
from pipeline.ledger import takeover
from pipeline.ledger.place import PostgresPlace, check_place, reading


def state_findings(config: Config) -> list[Finding]:
    """Whether the state folder is a copy of another, or one of another kind; what is removed when.

    In a cluster also whether the shared folder is the one of the other nodes.
    """
    service = config.service
    findings = []
    if config.cluster is not None:
        findings.append(_ledger_finding(config))
    # What else would be asked of its database can't be known, and is not said once more.
    is_known = all(one.ok for one in findings)
    for check in (partial(check_state, service.state_dir), partial(check_kind, config)):
        try:
            check()
        except StateError as error:
            findings.append(Finding("folder", False, str(error)))
    # That it is not there the trial of the folders tells.
    if config.cluster is not None and is_known and config.cluster.shared_dir.is_dir():
        try:
            compare_shared_folder(config.cluster)
        except SynqupError as error:
            findings.append(Finding("folder", False, str(error)))
    if service.keep_quarantine is not None:
        findings.append(
            Finding(
                "service",
                True,
                f"keep_quarantine: what lies in quarantine is removed after"
                f" {_days(service.keep_quarantine)}, although it was never delivered",
            )
        )
    if service.keep_ledger is not None:
        findings.append(
            Finding(
                "service",
                True,
                f"keep_ledger: after {_days(service.keep_ledger)} the ledger forgets labels, paths"
                " and reasons; that a document was delivered it never forgets, for that keeps the"
                " same one from being delivered again",
            )
        )
    if service.keep_delivered is not None:
        findings.append(
            Finding(
                "service",
                True,
                f"keep_delivered: a copy of what is delivered is kept for"
                f" {_days(service.keep_delivered)}, {service.keep_delivered_size:,} bytes at most",
            )
        )
    return findings


def known_volumes(config: Config) -> Mapping[str, takeover.Volume]:
    """On which volumes the nodes of a cluster have the folders; none where that can't be asked."""
    if config.cluster is None:
        return {}
    try:
        with reading(ledger_place(config)) as connection:
            return takeover.volumes([str(one) for one in folders_of(config)], connection)
    except StateError:  # the finding of the ledger says why
        return {}


def _ledger_finding(config: Config) -> Finding:
    """Whether the ledger of a cluster can be used."""
    try:
        place = ledger_place(config)
        assert isinstance(place, PostgresPlace)
        found = check_place(place)
    except StateError as error:
        return Finding("service", False, str(error))
    return Finding("service", True, f"[cluster]: the ledger lies in {found}")


def _days(seconds: float) -> str:
    return f"{seconds / SECONDS['d']:,.0f} days"
