"""Results of a delivery: what became of a document, in the words that its user reads."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

import structlog

from pipeline.document import Key
from pipeline.errors import AlreadyDelivered, RetryableError
from pipeline.files import os_reason
from pipeline.ledger.models import AllocatedName, Duplicate, State, Unrecorded
from pipeline.stage import retryable_os_error
from stages.delivery.markers import WrongVolume
from stages.delivery.plan import Plan
from stages.delivery.publish import Vanished
from stages.delivery.watchdog import Hanging

log = structlog.get_logger(__name__)

#: The path of the document, durable in its folder; or why it has not been delivered.
WriteResult = Path | RetryableError | AlreadyDelivered

#: Errors of a rename that concern the name of one document, and not its folder.
OF_ONE_DOCUMENT = {errno.EEXIST, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}


def not_staged(plan: Plan, error: OSError) -> RetryableError:
    """A document that can't be written to its folder.

    Its __cause__ is what the system says of the folder, as that of the other functions here.
    """
    if isinstance(error, WrongVolume):
        waits = RetryableError(plan.label, f"{error.strerror} ({plan.folder})", error.remedy)
    else:
        waits = retryable_os_error(plan.label, error)
    waits.__cause__ = error
    return waits


def not_visible(plan: Plan, error: OSError) -> RetryableError:
    """A document that was written and can't get its name; without a cause if only it can't."""
    waits = retryable_os_error(plan.label, error)
    if error.errno not in OF_ONE_DOCUMENT and not isinstance(error, Vanished):
        waits.__cause__ = error
    return waits


def taken_over(plan: Plan) -> RetryableError:
    """A document that another process has brought further meanwhile, or taken back."""
    return RetryableError(
        plan.label,
        "another process has taken it over",
        "The next poll finds out what became of it",
    )


def folder_words(error: OSError) -> tuple[str, str]:
    """The reason and the remedy of a folder that does not work, which name no path."""
    waiting = "its documents wait and will be retried"
    if isinstance(error, WrongVolume):
        return str(error.strerror), f"{error.remedy}; {waiting}"
    if isinstance(error, Hanging):
        return os_reason(error), f"Check the share or the disk; {waiting}"
    # An error without the system's own words may name the path in its place.
    said = error.strerror or type(error).__name__
    return f"the system says: {said}", f"Repair the disk or the folder; {waiting}"


def not_durable(plan: Plan, error: OSError) -> RetryableError:
    """A document that is visible in its folder, but might not survive a power cut."""
    waits = RetryableError(
        plan.label,
        f"it is in its folder, but the system can't make that durable:"
        f" {os_reason(error)} ({plan.folder})",
        "Repair the disk or the folder; the platform is told at the first poll at which that"
        " succeeds",
    )
    waits.__cause__ = error
    return waits


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
    if plan.document.meta.listed.by_hand is not None:
        return
    if claim.repeats:
        log.warning("document was delivered before", document=plan.label, before=claim.repeats)
    elif claim.corrects:
        log.warning(
            "document has a number that was delivered before",
            document=plan.label,
            before=claim.corrects,
        )
