"""Allocation of names: asks the ledger for a name for each staged document.

No other document that the ledger knows has had that name. The allocation is durable on return; the
folder is not changed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import AllocatedName, Duplicate, NameTaken, Staged, Unrecorded
from stages.delivery.document_files import free_number
from stages.delivery.lanes import Lane
from stages.delivery.plan import Plan
from stages.delivery.watchdog import Call, Heartbeat


class Named(Struct, frozen=True):
    """A staged document and the name that the ledger gave it.

    sidecars: the extensions of those that are still to be published.
    """

    plan: Plan
    staged: Staged
    claim: AllocatedName
    sidecars: tuple[str, ...]


class Unnamed(Struct, frozen=True):
    """A staged document that the ledger gave no name, and the reason."""

    plan: Plan
    staged: Staged
    reason: Duplicate | Unrecorded


async def allocate_names(
    ledger: Ledger, staged: Sequence[tuple[Plan, Staged]]
) -> tuple[list[Named], list[Unnamed]]:
    """Record a group as staged, each document with a name; those with one and those without."""
    allocations = await ledger.stage([one for _, one in staged], time.time())
    named: list[Named] = []
    unnamed: list[Unnamed] = []
    for (plan, one), allocation in zip(staged, allocations, strict=True):
        if isinstance(allocation, AllocatedName):
            named.append(Named(plan, one, allocation, plan.sidecars))
        else:
            unnamed.append(Unnamed(plan, one, allocation))
    return named, unnamed


async def allocate_next_names(ledger: Ledger, lane: Lane, taken: Sequence[Named]) -> list[Named]:
    """Record other names for documents whose names are taken by files of other programs.

    One that is not staged under its temporary file any more is left out.
    """

    def find(one: Named, _: Heartbeat) -> int:
        return free_number(one.plan.target, one.plan.sidecars, one.claim.number + 1)

    numbers = await lane.each([Call(one.plan.folder, partial(find, one)) for one in taken])
    wanted = [
        NameTaken(
            one.plan.key,
            str(one.plan.target),
            number if isinstance(number, int) else one.claim.number + 1,
            one.staged.staged,
            one.claim.path,
        )
        for one, number in zip(taken, numbers, strict=True)
    ]
    claims = await ledger.reallocate(wanted, time.time())
    return [
        Named(one.plan, one.staged, claim, one.sidecars)
        for one, claim in zip(taken, claims, strict=True)
        if claim is not None
    ]
