"""A worker process: sees the documents that it is given to their end, with an engine of its own.

`python -m pipeline.worker`, started by the crew (crew.py). It reads no list, signs in nowhere and
writes no ledger: for those it asks the first process. When that is gone it ends at once, for what
it has not recorded is settled at the next start.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn, TypeVar

import anyio
from anyio.abc import SocketStream

from pipeline.acknowledge import Settled
from pipeline.assembly import Flow, open_source, quarantine_in
from pipeline.document import Document, Key
from pipeline.engine import Engine
from pipeline.errors import StateError
from pipeline.intake import Tally
from pipeline.ledger import Ledger
from pipeline.link import Link, inherited
from pipeline.lock import only_worker
from pipeline.log import set_up_worker
from pipeline.loop import run
from pipeline.orders import (
    Answer,
    Begin,
    Broken,
    Change,
    Drop,
    End,
    Forgive,
    Landed,
    Lend,
    Logged,
    Note,
    OpenSource,
    Ready,
    Resize,
    Share,
    Take,
)
from pipeline.quarantine import Quarantine
from pipeline.queues import Bound, Queue
from pipeline.source import Credential, Source
from pipeline.stage import Stage
from pipeline.supervision import SIGNALS
from pipeline.writer import Changes

T = TypeVar("T")

#: Seconds between two reports of what has landed, at least.
REPORT = 0.005
#: Documents that are taken in at a time, at most.
GROUP = 64


class Remote(Changes):
    """Has the first process do what only one may do: change the ledger, sign in."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._numbers = itertools.count()
        self._asked: dict[int, tuple[anyio.Event, list[Answer]]] = {}
        self._notes: dict[str, list[tuple[Any, ...]]] = {}

    async def change(self, apply: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """As Changes.change(); what is done has to be a function of a module, or partial()."""
        value: T = await self._ask(Change(next(self._numbers), apply, durable))
        return value

    async def note(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """As Changes.note(), with tell_notes()."""
        self._notes.setdefault(statement, []).extend(rows)

    def tell_notes(self) -> None:
        """Hand over what is noted so far."""
        for statement, rows in self._notes.items():
            self._link.send(Note(statement, tuple(rows)))
        self._notes.clear()

    def hurry(self) -> None:
        """The first process knows when to."""

    async def credential(self, source: int, refused: str) -> Credential:
        """As Source.credential() of the source of that number."""
        lent: Credential = await self._ask(Lend(next(self._numbers), source, refused))
        return lent

    def answered(self, answer: Answer) -> None:
        """Hand an answer to whoever waits for it."""
        came, answers = self._asked.pop(answer.number)
        answers.append(answer)
        came.set()

    async def _ask(self, question: Change | Lend) -> Any:
        came, answers = self._asked[question.number] = (anyio.Event(), [])
        self._link.send(question)
        # Who is cancelled still waits for a change: as Writer.change().
        with anyio.CancelScope(shield=isinstance(question, Change)):
            await came.wait()
        if answers[0].error is not None:
            raise answers[0].error
        return answers[0].value


class Reporter(Engine):
    """An engine that tells the first process what has landed, a few at a time."""

    def __init__(
        self,
        stages: Sequence[Stage],
        ledger: Ledger,
        quarantine: Quarantine,
        remote: Remote,
        link: Link,
    ) -> None:
        super().__init__(stages, ledger, quarantine)
        self._remote = remote
        self._link = link
        self._keys: list[Key] = []
        self._counts = Tally()
        self._news = anyio.Event()

    async def report(self) -> None:
        """Tell what lands, until cancelled."""
        while True:
            await self._news.wait()
            self.tell_landed()
            await anyio.sleep(REPORT)

    def tell_landed(self) -> None:
        """Tell what has landed since the last time, after what is noted of it."""
        self._remote.tell_notes()
        setbacks = {name: error for name in self._setbacks if (error := self.setback(name))}
        self._link.send(Landed(tuple(self._keys), self._counts, setbacks))
        self._keys, self._counts, self._news = [], Tally(), anyio.Event()

    def _land(self, key: Key) -> None:
        flight = self._flying[key.source].get(key)
        super()._land(key)
        # Counted with its landing, or what is settled after our death would be counted twice.
        if flight is not None and flight.end is not None:
            self._counts.count(flight.end, flight.size)
        self._keys.append(key)
        self._news.set()


class Worker:
    """One worker process at work."""

    def __init__(self, stream: SocketStream) -> None:
        self._shared: dict[int, Any] = {}
        self._link = Link(stream, lambda _: None, self._shared.__getitem__)
        self._remote = Remote(self._link)
        # The first process bounds what is in flight here.
        self._given: Queue[Document[Any] | Settled] = Queue(Bound(sys.maxsize, sys.maxsize))
        self._ended = anyio.Event()
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Follow the orders that come until the one to end, or until nobody gives them any more."""
        orders = aiter(self._link)
        begin = await anext(orders, None)
        if begin is None:
            return
        set_up_worker(lambda level, event: self._link.send(Logged(level, event)))
        with only_worker(begin.state_dir, begin.number):
            async with self._engine(begin) as engine, anyio.create_task_group() as group:
                group.start_soon(self._link.run)
                group.start_soon(self._follow, orders, engine, begin)
                group.start_soon(engine.report)
                await self._work(engine)
                engine.tell_landed()
                group.cancel_scope.cancel()
            await self._link.flush()

    @asynccontextmanager
    async def _engine(self, begin: Begin) -> AsyncIterator[Reporter]:
        ledger = Ledger(self._remote)
        flow = Flow(begin.state_dir, ledger, f"worker-{begin.number}")
        quarantine = quarantine_in(begin.state_dir)
        engine = Reporter(flow.stages, ledger, quarantine, self._remote, self._link)
        engine.resize(begin.sizes)
        try:
            yield engine
        finally:
            for one in self._shared.values():
                if isinstance(one, Source):
                    await one.close()

    async def _work(self, engine: Reporter) -> None:
        try:
            with self._scope:
                async with engine.running(), anyio.create_task_group() as group:
                    group.start_soon(self._take_in, engine)
                    group.start_soon(self._tell_of_bug, engine)
                    self._link.send(Ready())
                    await self._ended.wait()
                    group.cancel_scope.cancel()
        except* StateError:
            # It came with an answer, so the first process knows it.
            pass
        except* Exception:
            if engine.fault is None:
                raise

    async def _take_in(self, engine: Reporter) -> None:
        while True:
            given = await self._given.take(GROUP)
            for cargo in given:
                if isinstance(cargo, Settled):
                    await engine.tell(cargo)
                else:
                    await engine.offer(cargo)
            self._given.done(given)

    async def _tell_of_bug(self, engine: Reporter) -> None:
        await engine.broken.wait()
        self._link.send(Broken("".join(traceback.format_exception(engine.fault))))

    async def _follow(self, orders: AsyncIterator[Any], engine: Reporter, begin: Begin) -> NoReturn:
        async for order in orders:
            match order:
                case Take(cargo):
                    self._given.put_back(cargo)
                case Answer():
                    self._remote.answered(order)
                case Share() | OpenSource() | Drop():
                    await self._learn(order, begin)
                case Resize(sizes):
                    engine.resize(sizes)
                case Forgive(source):
                    engine.forgive(source)
                case End(at_once):
                    self._ended.set()
                    if at_once:
                        self._scope.cancel()
                case _:
                    raise TypeError(f"no worker is told {order!r}")
        # The next one to own the state folder waits for our end.
        os._exit(1)

    async def _learn(self, order: Share | OpenSource | Drop, begin: Begin) -> None:
        match order:
            case Share(number, value):
                self._shared[number] = value
            case OpenSource(number, settings):
                borrow = partial(self._remote.credential, number)
                source = open_source(settings, begin.state_dir, begin.workers, borrow)
                self._shared[number] = source
            case Drop(number):
                thing = self._shared.pop(number)
                if isinstance(thing, Source):
                    await thing.close()


async def _work() -> None:
    async with await SocketStream.from_socket(inherited()) as stream:
        await Worker(stream).run()


def main() -> None:
    """Be a worker until told to end. What asks a program to end is for the first process."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    run(_work)


if __name__ == "__main__":
    main()
