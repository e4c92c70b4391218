"""Results of a delivery: what became of a document, in the words that its user reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import structlog

from pipeline.document import Key
from pipeline.errors import AlreadyDelivered, RetryableError
from pipeline.files import os_reason
from pipeline.ledger.models import AllocatedName, Duplicate, State, Unrecorded
from stages.delivery.plan import Plan

log = structlog.get_logger(__name__)

#: The path of the document, durable in its folder; or why it has not been delivered.
WriteResult = Path | RetryableError | AlreadyDelivered


def not_durable(plan: Plan, error: OSError) -> RetryableError:
    """A document that is visible in its folder, but might not survive a power cut."""
    return RetryableError(
        plan.label,
        f"it is in its folder, but the system can't make that durable:"
        f" {os_reason(error)} ({plan.folder})",
        "Repair the disk or the folder; the platform is told at the first poll at which that"
        " succeeds",
    )


def not_named(
    plan: Plan, reason: Duplicate | Unrecorded, results: Mapping[Key, WriteResult]
) -> RetryableError | AlreadyDelivered:
    """A document that the ledger gave no name; results: those of the group so far."""
    if isinstance(reason, Unrecorded):
        if reason.state is None:
            return RetryableError(
                plan.label,
                "the ledger has no record that it was listed",
                "It will be retried at the next poll; if that goes on, check the disk that holds"
                " state_dir",
            )
        return RetryableError(
            plan.label,
            f"it is {reason.state} already",
            "The platform is told at the next poll",
        )
    same = f"it is the same as {reason.label}"
    if reason.key.source != plan.key.source:
        same += f" of source {reason.key.source}"
    if reason.state is State.DELIVERED or isinstance(results.get(reason.key), Path):
        return AlreadyDelivered(plan.label, f"{same}, which was delivered")
    return RetryableError(plan.label, f"{same}, which has yet to be delivered")


def warn_of_repetition(plan: Plan, claim: AllocatedName) -> None:
    """Log that a document was delivered although the same, or the same number, had been before."""
    if claim.repeats:
        log.warning("document was delivered before", document=plan.label, before=claim.repeats)
    elif claim.corrects:
        log.warning(
            "document has a number that was delivered before",
            document=plan.label,
            before=claim.corrects,
        )
