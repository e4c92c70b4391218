"""Gone documents: finds those that wait, and that their source does not list any more.

Only a complete walk tells: one that has failed in a part, or had to leave something out, proves
nothing, and neither does one over the lists of other companies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from typing import Any

import structlog

from pipeline.dispatcher import Dispatcher
from pipeline.errors import Rejected, RetryableError, SourceError
from pipeline.ledger.gone import LeftWaiting, left_waiting
from pipeline.ledger.ledger import Ledger
from pipeline.source import Source

log = structlog.get_logger(__name__)

#: How the remedy of a reason begins, which is not repeated.
_REMEDY = ". "


class Gone(Rejected):
    """A document that its source does not list any more, though it was never delivered."""

    reason = "it is no longer listed"
    remedy = (
        "See at the platform what became of it, or ask for it to be sent again; it comes by itself"
        " if it is listed again"
    )


class Absent:
    """What one poll finds out about the documents that wait. shown: ids of those it was shown.

    poll: its number. before: that of the poll before, over the same lists.
    """

    def __init__(self, source: Source, ledger: Ledger, poll: float, before: float) -> None:
        self.shown: set[str] = set()
        self._source = source
        self._ledger = ledger
        self._poll = poll
        self._before = before

    async def note(
        self,
        config: Any,
        companies: Callable[[], Collection[str]],
        cursor: str,
        dispatcher: Dispatcher,
        *,
        is_whole: bool = True,
    ) -> None:
        """Record the documents that are gone, after a complete walk.

        companies: the identifiers of those whose lists it was over. cursor: where it began.
        is_whole: whether it was over all lists, and not over those of some companies. The list is
        read once more if there are any, as a list that shifts may hide one; where that fails, a
        later poll tells.
        """
        waiting = await left_waiting(self._ledger, self._source.name, self._poll)
        if not waiting:
            return
        configured = companies()
        waiting = [
            one
            for one in self._not_shown(waiting)
            if (one.company in configured if one.company else is_whole)
            # A walk from a cursor is over what the poll before listed, but perhaps no others did.
            and (not cursor or one.poll >= self._before)
            and self._source.shows(one.key.id, one.company)
        ]
        if waiting and not self._source.traits.pause:
            if not await self._look_again(config, cursor):
                return
            waiting = self._not_shown(waiting)
        if waiting:
            await dispatcher.gone([(one.key, self._error(one)) for one in waiting])

    def _not_shown(self, waiting: Sequence[LeftWaiting]) -> list[LeftWaiting]:
        return [one for one in waiting if one.key.id not in self.shown]

    async def _look_again(self, config: Any, cursor: str) -> bool:
        """Read the list once more; whether all of it could be read."""
        source = self._source
        moved, source.cursor = source.cursor, cursor
        try:
            async with aclosing(source.list(config)) as pages:
                async for page in pages:
                    self.shown.update(entry.id for entry in page)
        except (RetryableError, SourceError) as error:
            log.info("the list can't be looked at again", source=source.name, reason=str(error))
            return False
        finally:
            source.cursor = moved
        return not source.unreadable

    def _error(self, one: LeftWaiting) -> Gone:
        why = one.reason.removeprefix(f"{one.label}: ").partition(_REMEDY)[0].removesuffix(".")
        return Gone(
            one.label,
            f"it is no longer listed by source {self._source.name}, and was not delivered before"
            f" that: {why}",
        )
