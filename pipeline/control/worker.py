"""Worker: carries out the orders of the ledger, each exactly once, whatever ends the program.

A document of an order goes through the stages as any other does, and its row in the ledger tells
what became of it: so the worker asks that row before it starts a document, and after.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.to_thread
import structlog

from pipeline.document import Document
from pipeline.engine.dispatcher import EngineDispatcher
from pipeline.errors import RetryableError, StateError, SynqupError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import ACKED, ENDED, State
from pipeline.ledger.orders import AGAIN, REDELIVER, Ended, Order, OrderBook
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.selection import Selected, rows_of

log = structlog.get_logger(__name__)

#: Seconds between two tries of what waits.
AGAIN_AFTER = 60.0

#: With other nodes: seconds between two looks for what was asked for on another one, and between
#: two tries of what is another's, or waits.
LOOK, AGAIN_AMONG_NODES = 2.0, 20.0

#: Claims orders, by their numbers, for this node alone; those that are its. RetryableError.
Claim = Callable[[Sequence[int]], Awaitable[set[int]]]
#: Makes the document of an order; a SynqupError says why that is not possible.
Make = Callable[[Order, Selected], Awaitable[Document[Any]]]


class Worker:
    """Carries out orders while run() runs. recover: brings what is staged to its end."""

    def __init__(
        self,
        book: OrderBook,
        ledger: Ledger,
        path: LedgerPlace,
        dispatcher: EngineDispatcher,
        make: Make,
        recover: Callable[[], Awaitable[None]],
        claim: Claim | None = None,
    ) -> None:
        """claim: where several nodes have the same orders."""
        self._book = book
        self._ledger = ledger
        self._path = path
        self._dispatcher = dispatcher
        self._make = make
        self._recover = recover
        self._claim = claim
        #: The latest order that was seen.
        self._seen = 0
        self._woken = anyio.Event()

    def wake(self) -> None:
        """Look at the orders at once."""
        self._woken.set()

    async def run(self) -> None:
        """Carry out orders until cancelled. Raises StateError alone."""
        while True:
            self._woken = anyio.Event()
            left = await self.work()
            if self._claim is None:
                with anyio.move_on_after(AGAIN_AFTER if left else None):
                    await self._woken.wait()
            else:
                with anyio.move_on_after(AGAIN_AMONG_NODES if left else None):
                    await self._woken_or_asked_elsewhere()

    async def _woken_or_asked_elsewhere(self) -> None:
        """Wait until there is something new to do, which was asked for on any node."""
        while True:
            with anyio.move_on_after(LOOK):
                await self._woken.wait()
                return
            if await self._book.has_newer(self._seen):
                return

    async def work(self) -> int:
        """Try each open order once; how many are left for a later try."""
        after = left = 0
        recovered = False
        while page := await self._book.open(after):
            after = page[-1].number
            self._seen = max(self._seen, after)
            mine = await self._own(page)
            left += len(page) - len(mine)
            if mine and not recovered:
                await self._recover()
                self._dispatcher.reset_breaker(AGAIN)
                recovered = True
            left += await self._carry_out(mine)
        return left

    async def _own(self, orders: Sequence[Order]) -> Sequence[Order]:
        """Those of the orders that are for this node to carry out."""
        if self._claim is None:
            return orders
        try:
            claimed = await self._claim([one.number for one in orders])
        except RetryableError as error:
            log.info("orders are carried out later", reason=str(error))
            return ()
        return [one for one in orders if one.number in claimed]

    async def _carry_out(self, orders: Sequence[Order]) -> int:
        """Try some orders; how many of them are left."""
        rows = await self._rows(orders)
        started: list[Order] = []
        ended: list[Ended] = []
        left = 0
        for order in orders:
            row = rows.get(order.delivered_as)
            if end := await self._end_of(order, row, before=True):
                ended.append(end)
            elif row is not None and row.state is State.STAGED:
                left += 1
            else:
                begun = await self._start(order, rows.get(order.key))
                if isinstance(begun, Ended):
                    ended.append(begun)
                elif begun:
                    started.append(order)
                else:
                    left += 1
        for order in started:
            await self._dispatcher.ended(order.delivered_as)
        rows = await self._rows(started)
        for order in started:
            if end := await self._end_of(order, rows.get(order.delivered_as), before=False):
                ended.append(end)
            else:
                left += 1
        await self._book.end(ended, time.time())
        return left

    async def _start(self, order: Order, row: Selected | None) -> bool | Ended:
        """Start the document of an order; False if it has to be left for a later try.

        Its end if it can't be done.
        """
        if row is None:
            return _told(order, done=False, result="the ledger has no such document any more")
        try:
            document = await self._make(order, row)
        except StateError:
            raise
        except SynqupError as error:
            return _told(order, done=False, result=str(error))
        except OSError as error:
            log.warning("an order waits", document=row.label, reason=str(error))
            return False
        key = document.key
        if self._dispatcher.is_id_in_flight(key.source, key.id):
            return False
        await self._ledger.seen([(key, row.label)], time.time())
        return await self._dispatcher.submit(document)

    async def _end_of(self, order: Order, row: Selected | None, *, before: bool) -> Ended | None:
        """What came of an order; None if it has not come to its end.

        before: whether the order is about to be tried: then a document that is quarantined is so
        from before it.
        """
        if row is None or row.state not in ENDED:
            return None
        if row.state is State.QUARANTINED and before and order.verb != REDELIVER:
            return None
        is_done = row.state is State.DELIVERED if order.verb == REDELIVER else row.state in ACKED
        if order.verb == REDELIVER and not row.is_told:
            # A crash came before that: and no poll makes good for it, for nobody is to be told.
            await self._ledger.acknowledged([row.key], time.time())
        return _told(order, done=is_done, result=row.path if is_done else row.reason)

    async def _rows(self, orders: Sequence[Order]) -> dict[Any, Selected]:
        keys = [key for one in orders for key in {one.key, one.delivered_as}]
        return await anyio.to_thread.run_sync(rows_of, self._path, keys)


def _told(order: Order, *, done: bool, result: str) -> Ended:
    log.info("order ended", verb=order.verb, id=order.key.id, done=done, result=result)
    return Ended(order.number, done, result)
