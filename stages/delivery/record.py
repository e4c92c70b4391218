"""Recording: enters in the ledger what became of a group of documents; durable on return."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.document import Key
from pipeline.errors import RetryableError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import Duplicate
from stages.delivery.allocate import Named, Unnamed
from stages.delivery.results import WriteResult, not_named


async def record_group(
    ledger: Ledger,
    named: Sequence[Named],
    unpublished: Sequence[Named],
    unnamed: Sequence[Unnamed],
    results: dict[Key, WriteResult],
) -> None:
    """Record what is delivered and what has to wait, and give unnamed documents their result.

    named: all that got a name, with their results. unpublished: those of them that certainly are
    not visible. Those that are neither delivered nor unpublished stay staged.
    """
    delivered = [
        (one.plan.key, one.staged.staged)
        for one in named
        if isinstance(results[one.plan.key], Path)
    ]
    await ledger.delivered(delivered, time.time())
    for one in unnamed:
        results[one.plan.key] = not_named(one.plan, one.reason, results)
    unstaged = [
        (one.plan.key, one.staged.staged, str(results[one.plan.key])) for one in unpublished
    ]
    await ledger.unstaged(unstaged, time.time())
    waiting = [
        (one.plan.key, str(results[one.plan.key]))
        for one in unnamed
        if isinstance(one.reason, Duplicate) and isinstance(results[one.plan.key], RetryableError)
    ]
    await ledger.waiting(waiting, time.time())
