"""Unit part: a part of a source that this node polls for the cluster, and what came of it."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.cluster.units import Claimed, Ended, Failure, SourceState, reason_of
from pipeline.errors import PartFailed, RetryableError, SourceError, SynqupError
from pipeline.ledger.ledger import Ledger
from pipeline.part import Begun, Part

#: Seconds for which one poll may start documents: then the other parts have their turns.
STARTING = 60.0


class UnitPart(Part):
    """The part of a source that a claim is of. companies: None where it is all of the source.

    What has to be kept is written at once when the poll has ended.
    """

    starting = STARTING

    def __init__(self, claimed: Claimed, companies: Collection[str] | None, ledger: Ledger) -> None:
        self.companies = companies
        self._claimed = claimed
        self._ledger = ledger
        self._poll = claimed.before
        self._cursor: str | None = None
        self._unreadable: int | None = None

    async def begin(self) -> Begun:
        """Count a poll of the source; the numbers of its parts are between each other."""
        number = await self._ledger.begin_poll(self._claimed.source)
        self._poll = number
        before = self._claimed.before
        if self.companies is None:
            return Begun(number, before, self._claimed.cursor)
        # What ended since is told, or about to be, by the node that has the other parts.
        return Begun(number, before, self._claimed.cursor, settled=before or number)

    async def left_out(self, items: int) -> None:
        """Keep it for the end."""
        self._unreadable = items

    async def keep_cursor(self, cursor: str) -> None:
        """Keep it for the end."""
        self._cursor = cursor

    async def complete(self, at: float) -> None:
        """The end says so, by the time of the database."""

    def ended(
        self, due_in: float, error: SynqupError | None, *, more: bool, refused: Collection[str] = ()
    ) -> Ended:
        """How its poll has ended. more: whether documents are left for the next one.

        refused: companies of the source whose folders refuse documents on this node.
        """
        # Else it was asked for a longer pause, or has to recover: neither a hint nor another node
        # changes that.
        goes_on = error is None or isinstance(error, PartFailed)
        is_its = any(self.companies is None or one in self.companies for one in refused)
        return Ended(
            due_in,
            self._poll,
            self._cursor,
            self._unreadable,
            failure_of(error) if error is not None else None,
            is_complete=not more,
            heeds_hints=goes_on,
            is_refused=goes_on and is_its,
        )


def failure_of(error: SynqupError) -> Failure:
    """What the other nodes are told of an error."""
    asked = error.retry_after if isinstance(error, RetryableError) else None
    return Failure(type(error).__name__, error.subject, error.reason, error.remedy, asked)


def failure_in(state: SourceState) -> SynqupError | None:
    """The one error that tells of all parts of a source that fail; None where none does."""
    if not state.failures:
        return None
    first = state.failures[0]
    kind = SourceError if state.failing == state.units else PartFailed
    return kind(first.subject, reason_of(state.failures, state.failing), first.remedy)
