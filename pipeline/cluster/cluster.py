"""Cluster: what one node does among the others: it keeps its place, plans, and takes its part.

All methods are for the event loop; what asks the database does so in a thread. Whatever keeps the
node from reaching it for too long ends the block of open_cluster() by a StateError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from msgspec import Struct

from pipeline.cluster import units
from pipeline.cluster.database import Connection, Database, DatabaseLost
from pipeline.cluster.digests import parts
from pipeline.cluster.nodes import Membership, NodeState
from pipeline.cluster.planner import MANY, PLAN_INTERVAL, RESCUE_INTERVAL, Planner, analyze
from pipeline.cluster.shares import Ask, exchange
from pipeline.cluster.sight import Sight
from pipeline.cluster.units import Claimed, Ended, SourceState
from pipeline.cluster.worker import JobWorker
from pipeline.throttle import Throttle

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Seconds between two exchanges of shares and pauses; and while a share is on its way.
SHARE_INTERVAL, SOON = 2.0, 0.5


class Job(Struct, frozen=True):
    """A job that was handed over. done: to be resolved when it is done, whatever came of it."""

    source: str
    slice: str
    done: Future[None]

    def end(self) -> None:
        """Let the engine go on."""
        if not self.done.done():
            self.done.set_result(None)


Jobs = MemoryObjectReceiveStream[Job]


class Served(Struct):
    """A source that this node polls. throttles: of its requests; full: what it bears at once.

    is_divided: whether nodes share that among them. jobs: where its jobs arrive. is_working:
    whether jobs are asked for. in_hand: the unit that is being polled.
    """

    throttles: Sequence[Throttle]
    full: int
    is_divided: bool
    send: MemoryObjectSendStream[Job]
    jobs: Jobs
    is_working: bool = False
    in_hand: str = ""


class Cluster:
    """One node of a cluster. Made by open_cluster()."""

    def __init__(self, dsn: str, membership: Membership) -> None:
        self.membership = membership
        node = membership.node
        self._work = Database(dsn, f"synqup {node}")
        self._planning = Database(dsn, f"synqup {node}: planner")
        self._sharing = Database(dsn, f"synqup {node}: shares")
        #: What is seen of all nodes.
        self.sight = Sight(dsn, node)
        self._planner = Planner()
        self._served: dict[str, Served] = {}
        self._worker = JobWorker(dsn, node, self._hand_over)
        self._loop: asyncio.AbstractEventLoop
        self._plan_now = anyio.Event()
        self._share_now = anyio.Event()

    @property
    def node(self) -> str:
        """The name of this node."""
        return self.membership.node

    @property
    def nodes(self) -> Mapping[str, NodeState]:
        """All nodes, as of the latest heartbeat."""
        return self.membership.nodes

    def is_alive(self, node: str) -> bool:
        """Whether a node is counted on; see Membership. May be called by any thread."""
        return self.membership.is_alive(node)

    def configured(self, config: Any) -> None:
        """Tell the others of the configuration in force."""
        self.membership.publish(parts(config))

    def serve(self, source: str, throttles: Sequence[Throttle]) -> Jobs:
        """Take part in polling a source, once it is published; where its jobs arrive.

        throttles: of its requests, as large as the source bears them. One job comes at a time. What
        served a source of this name before has no more jobs. The caller closes what it gets.
        """
        send, jobs = anyio.create_memory_object_stream[Job](10)
        if before := self._served.get(source):
            _turn_down(before)
        for one in throttles:
            # A process that has stood still does not know yet that others have its work.
            one.guard(lambda: self.membership.is_sure)
        full = max((one.most for one in throttles), default=0)
        self._served[source] = Served(throttles, full, is_divided=False, send=send, jobs=jobs)
        return jobs

    async def publish(
        self, source: str, slices: Sequence[str], every: float, *, sticky: bool
    ) -> None:
        """Have units of a source that is served. Called again, it applies what has changed.

        slices: its parts, as this node knows them. every: seconds between two polls of each.
        sticky: whether a part stays with the node that polls it.
        """
        await self._do(
            lambda connection: units.publish(
                connection, self.node, source, slices, every, sticky=sticky
            )
        )
        served = self._served.get(source)
        if served is not None:
            is_divided = len(slices) > 1 and bool(served.throttles)
            if is_divided and not served.is_divided:
                # Nothing is begun before there is a share of it.
                self._stop_working(source)
            served.is_divided = is_divided
            if not is_divided:
                self._resize(source, served.full)
        self._share_now.set()
        self._plan_now.set()

    async def withdraw(self, source: str, jobs: Jobs, *, forget: bool = True) -> None:
        """Take no part in polling a source any more, unless another of its name does by now.

        forget: whether its units are not to be kept, where no other node knows them.
        """
        served = self._served.get(source)
        if served is None or served.jobs is not jobs:
            return
        del self._served[source]
        self._worker.cease(source)
        _turn_down(served)
        if forget:
            await self._do(lambda connection: units.withdraw(connection, self.node, source))

    async def claim(self, job: Job) -> Claimed | None:
        """Begin the poll that a job stands for; None if there is nothing to be polled."""
        claimed = await self._do(
            lambda connection: units.claim(connection, self.node, job.source, job.slice)
        )
        if claimed is not None and (served := self._served.get(job.source)):
            served.in_hand = claimed.name
        return claimed

    async def end(self, claimed: Claimed, ended: Ended | None) -> SourceState | None:
        """Record how a poll has ended; None: it was broken off, and is due at once.

        Returns what all parts of its source say now; None if this poll was not the latest.
        """
        if served := self._served.get(claimed.source):
            served.in_hand = ""

        def record(connection: Connection) -> SourceState | None:
            if ended is None:
                units.due_again(connection, claimed)
            elif units.end(connection, claimed, ended):
                return units.state(connection, claimed.source)
            return None

        state = await self._do(record)
        if ended is None or ended.is_refused or not ended.is_complete:
            self._plan_now.set()
        return state

    async def poll_now(self, source: str) -> None:
        """Have all parts of a source polled at once, by whichever node."""
        await self._do(lambda connection: units.due_now(connection, source))
        self._plan_now.set()

    async def hint(self, source: str, pause: float) -> None:
        """Have the parts of a source polled soon, though no sooner than `pause` after the last."""
        await self._do(lambda connection: units.hint(connection, source, pause))
        self._plan_now.set()

    async def now(self) -> float:
        """The time by the database, in seconds since 1970."""
        return await self._do(
            lambda connection: float(
                connection.execute("SELECT extract(epoch FROM now())::float8").fetchall()[0][0]
            )
        )

    async def unfinished(
        self, since: float, wanted: Mapping[str, Sequence[str]]
    ) -> list[tuple[str, str]]:
        """The units, (source, slice) each, that have not been brought to an end since."""
        return await self._do(lambda connection: units.unfinished(connection, since, wanted))

    async def states(self, sources: Sequence[str]) -> dict[str, SourceState]:
        """What all parts of these sources say."""
        return await self._do(
            lambda connection: {one: units.state(connection, one) for one in sources}
        )

    async def run(self) -> None:
        """Plan, set free what has stalled, and keep to this node's shares, until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._plan_again_and_again)
            group.start_soon(self._rescue_again_and_again)
            group.start_soon(self._share_again_and_again)

    def start(self) -> None:
        """Begin to take jobs, on this event loop."""
        self._loop = asyncio.get_running_loop()
        self._worker.start()

    async def stop(self) -> None:
        """Take no more jobs; when it returns, none is in hand."""
        for served in self._served.values():
            served.send.close()
        await anyio.to_thread.run_sync(self._worker.stop)
        for database in (self._work, self._planning, self._sharing):
            await anyio.to_thread.run_sync(database.close)
        await anyio.to_thread.run_sync(self.sight.close)

    async def _plan_again_and_again(self) -> None:
        """Plan in each interval, and as soon as something is due."""
        while True:
            self._plan_now = anyio.Event()
            await self._try(self._plan)
            with anyio.move_on_after(PLAN_INTERVAL):
                await self._plan_now.wait()

    async def _rescue_again_and_again(self) -> None:
        while True:
            await self._try(self._rescue)
            await anyio.sleep(RESCUE_INTERVAL)

    async def _share_again_and_again(self) -> None:
        while True:
            self._share_now = anyio.Event()
            soon = await self._try(self._share)
            with anyio.move_on_after(SOON if soon else SHARE_INTERVAL):
                await self._share_now.wait()

    async def _try(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """Do something; where the database is lost, the heartbeat decides what that means."""
        try:
            return await work()
        except DatabaseLost as error:
            log.warning("the cluster's database is lost", reason=str(error))
            return False

    async def _plan(self) -> bool:
        planned = await _in_thread(self._planning, self._planner.plan)
        if planned >= MANY:
            await _in_thread(self._planning, analyze)
        return False

    async def _rescue(self) -> bool:
        in_hand = [one.in_hand for one in self._served.values() if one.in_hand]
        rescued = await _in_thread(
            self._planning,
            lambda connection: self._planner.rescue(connection, self.node, in_hand),
        )
        if rescued:
            log.info("jobs that nobody works on were set free", node=self.node, jobs=rescued)
            self._plan_now.set()
        return False

    async def _share(self) -> bool:
        """Exchange shares and pauses with the others; whether a share is on its way."""
        asks, pauses = {}, {}
        for name, served in self._served.items():
            pauses[name] = max((one.pause for one in served.throttles), default=0.0)
            if served.is_divided:
                asks[name] = Ask(served.full, _used(served))
        granted, told = await _in_thread(
            self._sharing, lambda connection: exchange(connection, self.node, asks, pauses)
        )
        for name, seconds in told.items():
            if served_ := self._served.get(name):
                for one in served_.throttles:
                    one.rest(seconds)
        for name, grant in granted.items():
            self._resize(name, grant.slots)
        return any(
            not grant.settled or grant.slots < asks[name].most // max(len(self.nodes), 1)
            for name, grant in granted.items()
        )

    def _resize(self, source: str, slots: int) -> None:
        """Use so many connections of a source; none: take no jobs, and end what is in hand by one.

        A source without throttles of its own has its jobs all the same.
        """
        served = self._served.get(source)
        if served is None:
            return
        for one in served.throttles:
            if one.most != max(slots, 1):
                one.resize(max(slots, 1))
        if slots or not served.is_divided:
            if not served.is_working:
                served.is_working = True
                self._worker.serve(source)
        else:
            self._stop_working(source)

    def _stop_working(self, source: str) -> None:
        served = self._served[source]
        if served.is_working:
            served.is_working = False
            self._worker.cease(source)

    def _hand_over(self, source: str, slice_: str, done: Future[None]) -> None:
        """Called in the worker's thread."""

        def deliver() -> None:
            served = self._served.get(source)
            job = Job(source, slice_, done)
            try:
                if served is None:
                    raise anyio.ClosedResourceError
                served.send.send_nowait(job)
            except (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.WouldBlock):
                job.end()

        try:
            self._loop.call_soon_threadsafe(deliver)
        except RuntimeError:  # its loop is closed
            done.set_result(None)

    async def _do(self, work: Callable[[Connection], T]) -> T:
        return await _in_thread(self._work, work)


def _turn_down(served: Served) -> None:
    """End the jobs that have arrived and were not begun; no more can arrive."""
    served.send.close()
    with suppress(anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError):
        while True:
            served.jobs.receive_nowait().end()


def _used(served: Served) -> int:
    """The connections of a source that may be in use, before the next exchange."""
    in_flight = max((one.in_flight for one in served.throttles), default=0)
    if not served.is_working and not served.in_hand:
        return in_flight
    return max(in_flight, *(one.most for one in served.throttles))


async def _in_thread(database: Database, work: Callable[[Connection], T]) -> T:
    """Do something in a thread. It is waited for even where its caller is cancelled.

    What was begun with a connection is ended before another has it.
    """
    with anyio.CancelScope(shield=True):
        result = await anyio.to_thread.run_sync(database.run, work)
    return result  # noqa: RET504 - mypy takes it that the scope may end the block early
