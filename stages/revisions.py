"""Revisions: of what is listed under one id, which is the next, and which ones it replaces."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.ledger.models import Known, State

#: Unfinished revisions of one id that are remembered, at most.
REMEMBERED = 16


def next_revision(rows: Mapping[str, Known], listed: str) -> str:
    """The first revision of our own (`~1`, `~2` …) that has not been delivered.

    listed: the revision that the source states, if any, to which ours is added.
    """
    revision, number = listed, 0
    while (row := rows.get(revision)) is not None and row.state is State.DELIVERED:
        number += 1
        revision = f"{listed}~{number}"
    return revision


def superseded(revision: str, rows: Mapping[str, Known]) -> list[str]:
    """The revisions that a new one replaces: unfinished ones, and all others above a bound.

    Otherwise a list whose revisions change at each poll would fill the ledger.
    """
    idle = [
        other
        for other, row in rows.items()
        if other != revision and row.state not in (State.STAGED, State.DELIVERED)
    ]
    if len(idle) > REMEMBERED:
        return idle
    return [
        other
        for other in idle
        if rows[other].state in (State.SEEN, State.WAITING) or rows[other].is_gone
    ]
