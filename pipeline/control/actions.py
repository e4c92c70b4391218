"""Actions: what people may ask of a running service, by a command or on its page.

Each is recorded in the ledger: who asked, when, for what, and what came of it. What is asked of
documents becomes orders there, which the worker carries out; so nothing of it is lost by a crash,
and none is done twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread
import structlog
from msgspec import Struct, structs

from pipeline.control.words import cut, listed, moment, named, names, ordered, redo
from pipeline.document import Key
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import ControlError, NotKnown
from pipeline.ledger.models import State
from pipeline.ledger.orders import (
    ASSIGN,
    MAX_ORDERS,
    REDELIVER,
    RETRY,
    NewAction,
    NewOrder,
    OrderBook,
)
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.selection import Selected, delivered_between, failed_because, row_of
from pipeline.ledger.terms import local_days
from pipeline.traits import Traits

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Seconds between two looks whether the orders of an action are done.
LOOK = 0.05


class ActionResult(Struct, frozen=True):
    """What came of an action. done: how many sources or documents it is of.

    sentence: for people. number: of the action in the ledger. orders, open, failed: how many of the
    documents are seen to here, are still to be done, and could not be. verb: for sentences.
    """

    done: int
    sentence: str
    number: int = 0
    open: int = 0
    failed: int = 0
    orders: int = 0
    verb: str = ""


class Running(Protocol):
    """The service that actions are done to, as its configuration in force has it."""

    @property
    def source_names(self) -> Collection[str]:
        """The configured sources."""

    def traits(self, source: str) -> Traits | None:
        """What a source's list does; None if it is not configured, or can't be opened."""

    def poll_now(self, source: str) -> None:
        """Let the next poll of a source begin at once."""

    def hold(self, source: str, since: float | None, by: str) -> None:
        """Poll a source no more; since None: poll it again, beginning at once."""

    def company(self, named: str) -> str | None:
        """The identifier of the company that a person names; None if there is no such one."""

    @property
    def kinds(self) -> Collection[str]:
        """The kinds of documents."""

    def destination_problem(self, folder: str) -> str:
        """Why nothing can be delivered into a folder; empty if that may be tried."""


class Actions:
    """The actions of one running service. wake: has the worker look at the orders.

    Each method raises a SynqupError that says what can't be done, why, and what to do; that is
    recorded too.
    """

    def __init__(
        self,
        book: OrderBook,
        ledger: LedgerPlace,
        quarantine: Quarantine,
        running: Running,
        is_in_flight: Callable[[str, str], bool],
        wake: Callable[[], object],
    ) -> None:
        self._book = book
        self._ledger = ledger
        self._quarantine = quarantine
        self._running = running
        self._is_in_flight = is_in_flight
        self._wake = wake

    async def poll(self, source: str | None, who: str) -> ActionResult:
        """Poll a source at once, or all that are not paused."""
        action = NewAction(who, "poll", source or "all sources")
        async with self._refusals(action):
            paused = await self._book.paused()
            wanted = self._sources(source)
            going = [name for name in wanted if name not in paused]
            if not going:
                raise ControlError(
                    named(wanted), "it is paused", "Let it go on first: synqup resume"
                )
            for name in going:
                self._running.poll_now(name)
            return await self._end(action, len(going), f"{named(going)} is polled now")

    async def pause(self, source: str, who: str) -> ActionResult:
        """Poll a source no more until resume(), also after a restart."""
        action = NewAction(who, "pause", source)
        async with self._refusals(action):
            self._sources(source)
            if source in (paused := await self._book.paused()):
                since, by = paused[source]
                return await self._end(
                    action, 0, f"source {source} is paused since {moment(since)}, by {by}"
                )
            now = time.time()
            await self._book.pause(source, who, now)
            self._running.hold(source, now, who)
            return await self._end(action, 1, f"source {source} is paused")

    async def resume(self, source: str, who: str) -> ActionResult:
        """Poll a source again that is paused, beginning at once."""
        action = NewAction(who, "resume", source)
        async with self._refusals(action):
            if source not in await self._book.paused():
                self._sources(source)
                return await self._end(action, 0, f"source {source} is not paused")
            await self._book.pause(source, "", None)
            self._running.hold(source, None, who)
            return await self._end(action, 1, f"source {source} goes on")

    async def retry(
        self, keys: Sequence[Key] = (), *, reason: str = "", who: str, wait: float = 0.0
    ) -> ActionResult:
        """Try quarantined or waiting documents again: these, or all whose reason has these words.

        Where its source still lists it, a document starts again when it is listed next; else from
        what the quarantine keeps of it. wait: seconds to wait for what comes of it, at most.
        """
        subject = f"reason: {reason}" if reason else names(keys)
        action = NewAction(who, "retry", subject)
        async with self._refusals(action):
            if reason:
                found = await _in_thread(failed_because, self._ledger, reason)
                _check_number(found, f'documents whose reason has "{reason}"')
            else:
                found = [await self._row(key) for key in keys]
            if bad := [one for one in found if one.state not in _RETRIED]:
                raise ControlError(
                    bad[0].label, f"it is {bad[0].state.value}, and has not failed", redo(bad[0])
                )
            relisted, orders = await self._ways(found)
            await self._book.set_back(relisted, f"it is to be tried again, says {who}", time.time())
            number = await self._book.record(action, orders, at=time.time())
            self._wake()
            for name in {one.key.source for one in found} & set(self._running.source_names):
                if name not in await self._book.paused():
                    self._running.poll_now(name)
            return await self._ordered(number, len(found), "tried again", len(orders), wait)

    async def redeliver(
        self,
        keys: Sequence[Key] = (),
        *,
        company: str = "",
        first: str = "",
        last: str = "",
        into: str = "",
        who: str,
        wait: float = 0.0,
    ) -> ActionResult:
        """Deliver documents once more, each exactly once, under a name of its own.

        They are these, or all that were delivered from one day or month to another (as day_of()
        reads them, in this machine's time), of one company if it is named. into: the folder; "" for
        the destinations of today's configuration. wait: as in retry().
        """
        between = f"company {company or 'any'}, delivered {first or '…'} to {last or 'today'}"
        subject = names(keys) if keys else between
        action = NewAction(who, "redeliver", subject, f"into {into}" if into else "")
        async with self._refusals(action):
            if into and (problem := self._running.destination_problem(into)):
                raise NotKnown(into, problem, "Name a folder by its absolute path")
            found = [await self._row(key) for key in keys]
            if not keys:
                found = await self._between(company, first, last)
            if bad := [one for one in found if one.state is not State.DELIVERED]:
                raise ControlError(
                    bad[0].label,
                    f"it is {bad[0].state.value}, and was not delivered",
                    "Try it again if it has failed: synqup retry",
                )
            orders = [NewOrder(REDELIVER, one.key, folder=into) for one in found]
            number = await self._book.record(action, orders, at=time.time())
            self._wake()
            return await self._ordered(number, len(found), "delivered again", len(orders), wait)

    async def assign(
        self, key: Key, company: str, kind: str, reason: str, who: str, wait: float = 0.0
    ) -> ActionResult:
        """Deliver a quarantined document to a company's folder, for a reason that is kept.

        company: its identifier or name. kind: of the document. wait: as in retry().
        """
        action = NewAction(who, "assign", f"{names([key])} to {company}, {kind}", cut(reason))
        async with self._refusals(action):
            identifier = self._running.company(company)
            if identifier is None:
                raise NotKnown(company, "no company is called so", "See [[companies]]")
            if kind not in self._running.kinds:
                raise NotKnown(
                    kind, "this is no kind", f"Name one of {listed(self._running.kinds)}"
                )
            if not reason.strip():
                raise NotKnown("the reason", "it is empty", "Say why it belongs there")
            row = await self._row(key)
            if row.state is not State.QUARANTINED:
                raise ControlError(
                    row.label, f"it is {row.state.value}, and not in quarantine", redo(row)
                )
            if not await self._quarantine.holds(key):
                raise ControlError(
                    row.label, "the quarantine keeps no bytes of it", "Try it again: synqup retry"
                )
            orders = [NewOrder(ASSIGN, key, identifier, kind)]
            number = await self._book.record(action, orders, at=time.time())
            self._wake()
            return await self._ordered(number, 1, f"delivered to {company} by hand", 1, wait)

    def _sources(self, source: str | None) -> list[str]:
        known = list(self._running.source_names)
        if source is None:
            return known
        if source not in known:
            raise NotKnown(f"source {source}", "it is not configured", f"There is {listed(known)}")
        return [source]

    async def _row(self, key: Key) -> Selected:
        row = await _in_thread(row_of, self._ledger, key)
        if row is None:
            raise NotKnown(names([key]), "the ledger has no such document", "See synqup find")
        if self._is_in_flight(key.source, key.id):
            raise ControlError(row.label, "it is being worked on", "Ask again in a moment")
        return row

    async def _between(self, company: str, first: str, last: str) -> list[Selected]:
        identifier = self._running.company(company) if company else ""
        if identifier is None:
            raise NotKnown(company, "no company is called so", "See [[companies]]")
        if not company and not first:
            raise NotKnown("the documents", "nothing says which", "Name some, a company or days")
        today = time.strftime("%Y-%m-%d")
        days = f"{first or 'the first day'} to {last or today}"
        try:
            begin, end = local_days(first or "1970-01-02", last or today)
        except ValueError:
            raise NotKnown(days, "these are no days", "Write them as 2026-01-31") from None
        if begin >= end:
            raise NotKnown(days, "the first of these days is after the last", "Change the days")
        found = await _in_thread(delivered_between, self._ledger, identifier, begin, end)
        _check_number(
            found, f"documents delivered from {days}" + (f" to {company}" if company else "")
        )
        return found

    async def _ways(self, found: Sequence[Selected]) -> tuple[list[Key], list[NewOrder]]:
        """Which quarantined documents start again by being listed, and the orders for others."""
        relisted: list[Key] = []
        orders: list[NewOrder] = []
        for one in found:
            if one.state is State.WAITING or self._is_in_flight(one.key.source, one.key.id):
                continue
            traits = self._running.traits(one.key.source)
            stays = traits is not None and not traits.shrinks and not traits.in_order
            if traits is not None and (stays or not one.is_told):
                relisted.append(one.key)
            elif traits is None and not await self._quarantine.holds(one.key):
                raise ControlError(
                    one.label,
                    f"its source {one.key.source} is not configured, and nothing of it is kept",
                    "Configure the source",
                )
            else:
                orders.append(NewOrder(RETRY, one.key))
        return relisted, orders

    async def outcome(self, result: ActionResult, wait: float = 0.0) -> ActionResult:
        """What has come of an action so far; wait: seconds to wait for the rest of it, at most."""
        left, failed, why = result.orders, 0, ""
        if result.orders:
            left, failed, why = await self._book.left(result.number)
        with anyio.move_on_after(wait):
            while left:
                await anyio.sleep(LOOK)
                left, failed, why = await self._book.left(result.number)
        waiting = 0
        if left and not failed:
            waiting, why = await self._book.waiting(result.number)
        sentence = ordered(result.done, result.verb, result.orders, left, failed, why, waiting)
        return structs.replace(result, sentence=sentence, open=left, failed=failed)

    async def _ordered(
        self, action: int, documents: int, verb: str, orders: int, wait: float
    ) -> ActionResult:
        """The result of an action whose orders have been recorded."""
        log.info("action", number=action, documents=documents, orders=orders)
        return await self.outcome(
            ActionResult(documents, "", action, orders=orders, verb=verb), wait
        )

    async def _end(self, action: NewAction, done: int, sentence: str) -> ActionResult:
        action = NewAction(action.who, action.action, action.subject, action.reason, sentence)
        number = await self._book.record(action, at=time.time())
        log.info("action", who=action.who, action=action.action, subject=action.subject)
        return ActionResult(done, sentence, number)

    def _refusals(self, action: NewAction) -> _Refusals:
        return _Refusals(self._book, action)


class _Refusals:
    """Records what could not be done, as an async context manager around an action."""

    def __init__(self, book: OrderBook, action: NewAction) -> None:
        self._book = book
        self._action = action

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        one = self._action
        if isinstance(error, ControlError):
            refused = NewAction(one.who, one.action, one.subject, one.reason, str(error))
            await self._book.record(refused, at=time.time())


_RETRIED = (State.QUARANTINED, State.WAITING)


async def _in_thread(function: Callable[..., T], *arguments: object) -> T:
    return await anyio.to_thread.run_sync(lambda: function(*arguments), abandon_on_cancel=True)


def _check_number(found: Sequence[Selected], what: str) -> None:
    if not found:
        raise ControlError(what, "there are none", "See synqup find")
    if len(found) > MAX_ORDERS:
        raise ControlError(
            what, f"these are more than {MAX_ORDERS:,}", "Ask for fewer at once, say by days"
        )
