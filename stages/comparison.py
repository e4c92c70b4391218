"""Comparison: what a page of a list is by the ledger; which revision of an id comes next."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from pipeline.dispatcher import PendingAck
from pipeline.document import Key
from pipeline.ledger.models import Known, State
from pipeline.source import Entry

#: Unfinished revisions of one id that are remembered, at most.
REMEMBERED = 16


class Comparison(Struct, frozen=True):
    """A page of the list compared with the ledger.

    fresh: entries to be started. forgotten: documents that were acknowledged, seem to have been
    forgotten by the source, and are unchanged by their revision. superseded: rows that entries in
    `fresh` replace.
    """

    fresh: list[Entry]
    forgotten: list[PendingAck]
    superseded: list[Key]


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
