"""Worker: carries out the orders of the ledger, each exactly once, whatever ends the program.

A document of an order goes through the stages as any other does, and its row in the ledger tells
what became of it: so the worker asks that row before it starts a document, and after.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import structlog

from pipeline.document import Document
from pipeline.engine.dispatcher import EngineDispatcher
from pipeline.errors import StateError, SynqupError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import ACKED, ENDED, State
from pipeline.ledger.orders import AGAIN, REDELIVER, Order, OrderBook
from pipeline.ledger.selection import Selected, rows_of

log = structlog.get_logger(__name__)

#: Seconds between two tries of what waits.
AGAIN_AFTER = 60.0

#: Makes the document of an order; a SynqupError says why that is not possible.
Make = Callable[[Order, Selected], Awaitable[Document[Any]]]


class Worker:
    """Carries out orders while run() runs. recover: brings what is staged to its end."""

    def __init__(
        self,
        book: OrderBook,
        ledger: Ledger,
        path: Path,
        dispatcher: EngineDispatcher,
        make: Make,
        recover: Callable[[], Awaitable[None]],
    ) -> None:
        self._book = book
        self._ledger = ledger
        self._path = path
        self._dispatcher = dispatcher
        self._make = make
        self._recover = recover
        self._woken = anyio.Event()

    def wake(self) -> None:
        """Look at the orders at once."""
        self._woken.set()

    async def run(self) -> None:
        """Carry out orders until cancelled. Raises StateError alone."""
        while True:
            self._woken = anyio.Event()
            left = await self.work()
            with anyio.move_on_after(AGAIN_AFTER if left else None):
                await self._woken.wait()

    async def work(self) -> int:
        """Try each open order once; how many are left for a later try."""
        after = left = 0
        recovered = False
        while page := await self._book.open(after):
            after = page[-1].number
            if not recovered:
                await self._recover()
                self._dispatcher.reset_breaker(AGAIN)
                recovered = True
            left += await self._carry_out(page)
        return left

    async def _carry_out(self, orders: Sequence[Order]) -> int:
        """Try some orders; how many of them are left."""
        rows = await self._rows(orders)
        started: list[Order] = []
        left = 0
        for order in orders:
            row = rows.get(order.delivered_as)
            if await self._ended(order, row, before=True):
                continue
            if row is not None and row.state is State.STAGED:
                left += 1
                continue
            begun = await self._start(order, rows.get(order.key))
            if begun:
                started.append(order)
            elif begun is not None:
                left += 1
        for order in started:
            await self._dispatcher.ended(order.delivered_as)
        rows = await self._rows(started)
        for order in started:
            left += not await self._ended(order, rows.get(order.delivered_as), before=False)
        return left

    async def _start(self, order: Order, row: Selected | None) -> bool | None:
        """Start the document of an order; False if it has to be left for a later try.

        None if its order has ended, because it can't be done.
        """
        if row is None:
            await self._end(order, done=False, result="the ledger has no such document any more")
            return None
        try:
            document = await self._make(order, row)
        except StateError:
            raise
        except SynqupError as error:
            await self._end(order, done=False, result=str(error))
            return None
        except OSError as error:
            log.warning("an order waits", document=row.label, reason=str(error))
            return False
        key = document.key
        if self._dispatcher.is_id_in_flight(key.source, key.id):
            return False
        await self._ledger.seen([(key, row.label)], time.time())
        return await self._dispatcher.submit(document)

    async def _ended(self, order: Order, row: Selected | None, *, before: bool) -> bool:
        """Whether what was ordered has come to its end, which is recorded then.

        before: whether the order is about to be tried: then a document that is quarantined is so
        from before it.
        """
        if row is None or row.state not in ENDED:
            return False
        if row.state is State.QUARANTINED and before and order.verb != REDELIVER:
            return False
        is_done = row.state is State.DELIVERED if order.verb == REDELIVER else row.state in ACKED
        if order.verb == REDELIVER and not row.is_told:
            # A crash came before that: and no poll makes good for it, for nobody is to be told.
            await self._ledger.acknowledged([row.key], time.time())
        await self._end(order, done=is_done, result=row.path if is_done else row.reason)
        return True

    async def _end(self, order: Order, *, done: bool, result: str) -> None:
        await self._book.end(order.number, done=done, result=result, at=time.time())
        log.info("order ended", verb=order.verb, id=order.key.id, done=done, result=result)

    async def _rows(self, orders: Sequence[Order]) -> dict[Any, Selected]:
        keys = [key for one in orders for key in {one.key, one.delivered_as}]
        return await anyio.to_thread.run_sync(rows_of, self._path, keys)
