"""Shares documents out among worker processes, and outlives them.

The first process reads the lists, signs in and writes the ledger; each worker (worker.py) sees
its documents through all stages to their acknowledgement. A worker that dies takes nothing along:
what it had in hand is settled by the same rule as after a crash of the whole program, and a new
one goes on, at first with one document at a time, for one of them may be what it died of.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import structlog
from msgspec import Struct

from pipeline.acknowledge import Settled, settled
from pipeline.document import Document, Key
from pipeline.errors import DocumentRefused, PassingError, StateError, SynqupError, WorkerLost
from pipeline.intake import Flight, Intake, Size
from pipeline.ledger import Ledger
from pipeline.member import Member, started
from pipeline.orders import (
    Answer,
    Begin,
    Broken,
    Change,
    End,
    Forgive,
    Landed,
    Lend,
    Logged,
    Note,
    Ready,
    Resize,
)
from pipeline.quarantine import Quarantine
from pipeline.records import Known, State
from pipeline.source import Outcome, Source

log = structlog.get_logger(__name__)

#: Documents that one worker may have in flight: its queues hold fewer.
WINDOW = 512
#: How often workers may end before they are ready until that is given up.
STARTS = 3
#: How often a worker may die with one document alone in its hands until it is not tried again.
DEATHS = 2
#: Seconds that workers are given to end when they are told to.
PATIENCE = 15.0
#: Seconds before a worker that died is followed by another: doubled each time, up to the second.
REST = 0.1
LONGEST_REST = 30.0


class Fault(Exception):
    """A bug that a worker process met; its traceback is the message."""


class Rules(Struct, frozen=True):
    """What the crew is told of documents when it is put together.

    finish: settles what is staged and not busy. common: what is the same for many documents,
    that of one of them; it crosses to a worker once.
    """

    finish: Callable[[Callable[[Key], bool]], Awaitable[None]]
    common: Callable[[Document[Any]], object]


class Crew(Intake):
    """The worker processes of one program, each with an engine of its own."""

    def __init__(
        self, workers: int, state_dir: Path, ledger: Ledger, quarantine: Quarantine, rules: Rules
    ) -> None:
        super().__init__(ledger, quarantine)
        self._workers = workers
        self._state_dir = state_dir
        self._rules = rules
        self._sizes: Mapping[str, Size] = {}
        self._members: dict[int, Member] = {}
        self._scopes: dict[int, anyio.CancelScope] = {}
        # How many had landed each time that a worker died with this one alone in its hands.
        self._deaths: dict[Key, list[int]] = {}
        self._landings = 0
        # Numbers of the workers that have yet to be ready for the first time: what comes before
        # that is shared out among all.
        self._awaited = set(range(1, workers + 1))
        self._changed = anyio.Event()
        self._end = End(at_once=True)
        self._ended = anyio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """As Intake.running()."""
        async with anyio.create_task_group() as group:
            for number in range(1, self._workers + 1):
                group.start_soon(self._keep, number)
            try:
                yield
                for source in list(self._flying):
                    await self.landed(source)
                self._end = End(at_once=False)
            finally:
                self._ended.set()
                for member in self._members.values():
                    member.link.send(self._end)
                for scope in self._scopes.values():
                    scope.deadline = anyio.current_time() + PATIENCE
        if self.fault is not None:
            raise self.fault

    def resize(self, sizes: Mapping[str, Size]) -> None:
        """As Intake.resize(); each worker process has stages of these sizes."""
        self._sizes = sizes
        for member in self._members.values():
            member.link.send(Resize(sizes))

    async def retire(self, source: Source) -> None:
        """As Intake.retire()."""
        await self.landed(source.name)
        for member in self._members.values():
            member.forget(lambda thing: thing is source)
        await source.close()

    def setback(self, source: str) -> SynqupError | None:
        """As Intake.setback()."""
        for member in self._members.values():
            if (error := member.setbacks.get(source)) is not None:
                return error
        return None

    def forgive(self, source: str) -> None:
        """As Intake.forgive()."""
        for member in self._members.values():
            member.setbacks = {name: one for name, one in member.setbacks.items() if name != source}
            member.link.send(Forgive(source))

    async def _take(self, flight: Flight) -> None:
        while self._awaited or (member := self._least_busy()) is None:
            await self._changed.wait()
        self._give(member, flight)

    def _least_busy(self) -> Member | None:
        free = [one for one in self._members.values() if one.at_large]
        member = min(free, key=lambda one: len(one.flights), default=None)
        return member if member is not None and len(member.flights) < WINDOW else None

    def _give(self, member: Member, flight: Flight) -> None:
        cargo = flight.cargo
        member.take(flight, None if isinstance(cargo, Settled) else self._rules.common(cargo))

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _keep(self, number: int) -> None:
        """Have a worker of this number at work, one after the other should they die."""
        left: list[Flight] = []
        starts, rest = 0, REST
        while not self._ended.is_set():
            # A stop comes to the worker as an order; it still needs us to end well.
            with anyio.CancelScope(shield=True) as self._scopes[number]:
                member = await self._work(number, left)
            if self._ended.is_set():
                return
            starts = 0 if member.ready else starts + 1
            if starts == STARTS:
                raise WorkerLost(f"worker {number}", f"it ended {STARTS} times before it was ready")
            left = await self._outlive(member, left)
            rest = REST if member.at_large else min(rest * 2, LONGEST_REST)
            with anyio.move_on_after(rest):
                await self._ended.wait()

    async def _work(self, number: int, left: Sequence[Flight]) -> Member:
        """Be there for one worker process until it ends; it takes what is left of another first."""
        async with started(number) as member:
            self._members[number] = member
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(member.link.run)
                    sizes = self._sizes
                    member.link.send(Begin(number, self._workers, self._state_dir, sizes))
                    if self._ended.is_set():
                        member.link.send(self._end)
                    async for message in member.link:
                        if isinstance(message, Ready):
                            member.ready = True
                            group.start_soon(self._probe, member, list(left))
                        elif isinstance(message, Change | Lend):
                            group.start_soon(self._answer, member, message)
                        else:
                            await self._hear(member, message)
                    group.cancel_scope.cancel()
            finally:
                del self._members[number]
        return member

    async def _probe(self, member: Member, left: Sequence[Flight]) -> None:
        """Give a new worker what the last one died with, one by one; then whatever comes."""
        for flight in left:
            self._give(member, flight)
            await member.idle.wait()
        member.at_large = True
        self._awaited.discard(member.number)
        self._change()

    async def _hear(self, member: Member, message: object) -> None:
        match message:
            case Note(statement, rows):
                await self._ledger.writer.note(statement, rows)
            case Landed(keys, counts, setbacks):
                self.tally.add(counts)
                member.setbacks = setbacks
                self._landings += len(keys)
                for key in keys:
                    self._deaths.pop(key, None)
                    member.land(key)
                    self._land(key)
                self._change()
            case Broken(traceback):
                self.fault = self.fault or Fault(f"worker {member.number}:\n{traceback}")
                self.broken.set()
            case Logged(level, event):
                getattr(log, level)(**event, worker=member.number)
            case _:
                raise TypeError(f"no worker says {message!r}")

    async def _answer(self, member: Member, ask: Change | Lend) -> None:
        try:
            value: Any
            if isinstance(ask, Change):
                value = await self._ledger.writer.change(ask.apply, durable=ask.durable)
            else:
                value = await member.source(ask.source).credential(ask.refused)
        except Exception as error:
            member.link.send(Answer(ask.number, error=error))
            if isinstance(error, StateError):
                raise
        else:
            member.link.send(Answer(ask.number, value))

    async def _outlive(self, member: Member, left: Sequence[Flight]) -> list[Flight]:
        """Settle what a worker that died had in hand; what the next one has to take up."""
        log.error(
            "a worker process died",
            worker=member.number,
            status=member.process.returncode,
            documents=len(member.flights),
        )
        await self._rules.finish(lambda key: self.is_flying(key) and key not in member.flights)
        known = await self._ledger.known(list(member.flights))
        lost = list(member.flights.values())
        for flight in lost:
            row = known.get(flight.cargo.key)
            if isinstance(flight.cargo, Document) and row is not None:
                await self._take_stock(flight, flight.cargo, row, alone=len(lost) == 1)
        untried = [one for one in left if one not in lost]
        return [one for one in (*untried, *lost) if self._is_aloft(one)]

    async def _take_stock(
        self, flight: Flight, document: Document[Any], row: Known, *, alone: bool
    ) -> None:
        """Land a document that has come to its end, or have what is left to do with it done."""
        match row.state:
            case State.SEEN:
                deaths = self._deaths.setdefault(document.key, [])
                if alone:
                    deaths.append(self._landings)
                if len(deaths) == DEATHS:
                    del self._deaths[document.key]
                    await self._judge(document, to_blame=self._landings > deaths[0])
            case State.STAGED | State.WAITING:
                self._count(document, State.WAITING)
                self._land(document.key)
            case _:
                self.tally.count(row.state, row.size)
                flight.cargo = settled(document.key, document.ack.source, row)
                if row.acknowledged_at is not None:
                    self._land(document.key)

    async def _judge(self, document: Document[Any], *, to_blame: bool) -> None:
        """End a document with which alone in hand worker after worker has died.

        to_blame: whether others have landed meanwhile; else workers die of something else.
        """
        label = document.entry.label
        died = f"the process that worked on it died, {DEATHS} times"
        if to_blame:
            refused = DocumentRefused(label, died, "Send the log and the document to support")
            await self._set_aside(document, refused)
        else:
            remedy = "See to it that the system does not kill it for its memory"
            await self._postpone(document, PassingError(label, died, remedy))

    async def _settle(self, document: Document[Any], outcome: Outcome) -> None:
        """As Intake._settle(): by the next worker."""
        flight = self._flying[document.key.source][document.key]
        flight.cargo = Settled(document.key, document.ack.source, outcome)

    def _is_aloft(self, flight: Flight) -> bool:
        key = flight.cargo.key
        return self._flying[key.source].get(key) is flight
