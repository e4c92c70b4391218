"""Cluster: nodes in one process that share units, by the engine itself on a real PostgreSQL."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.to_thread
import pytest
from structlog.testing import capture_logs

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster.cluster import Cluster, Job
from pipeline.cluster.database import Database
from pipeline.cluster.join import open_cluster
from pipeline.cluster.nodes import STALLED
from pipeline.cluster.schema import NODE_LOCK
from pipeline.cluster.units import Claimed, Ended
from pipeline.engine.error_reporter import leaf_exceptions
from pipeline.errors import StateInUse
from tests.helpers.clustering import eventually, execute, prepared, rows

pytestmark = pytest.mark.anyio


class Slots:
    """A throttle of which all slots are in use while there is work."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.is_busy = False
        self.pause = 0.0
        self.is_sure: Callable[[], bool] = lambda: True

    @property
    def in_flight(self) -> int:
        return self.most if self.is_busy else 0

    def resize(self, most: int) -> None:
        self.most = most

    def guard(self, is_sure: Callable[[], bool]) -> None:
        self.is_sure = is_sure

    def rest(self, seconds: float) -> None:
        self.pause = max(self.pause, seconds)


class Worked:
    """What was polled, by source and slice; and how many polls of one unit there were at once."""

    def __init__(self, every: float = 60.0, takes: float = 0.0) -> None:
        self.polls: Counter[tuple[str, str]] = Counter()
        self.by: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.most = 0
        self.every = every
        self.takes = takes

    async def __call__(self, cluster: Cluster, claimed: Claimed) -> None:
        self.open[claimed.name] += 1
        self.most = max(self.most, *self.open.values())
        await anyio.sleep(self.takes)
        self.open[claimed.name] -= 1
        self.polls[claimed.source, claimed.slice] += 1
        self.by[cluster.node] += 1
        await cluster.end(claimed, Ended(self.every, 1))


@asynccontextmanager
async def node(
    dsn: str, name: str, sources: Sequence[str], slices: Sequence[str],
    work: Callable[[Cluster, Claimed], Awaitable[None]], throttle: Slots | None = None,
) -> AsyncIterator[Cluster]:  # fmt: skip
    """A node that works on some sources."""
    throttles = [throttle] if throttle else []

    async def serve(cluster: Cluster, source: str) -> None:
        jobs = cluster.serve(source, throttles)
        await cluster.publish(source, slices, 60.0, sticky=False)
        with jobs:
            async for job in jobs:
                await do(cluster, job)

    async def do(cluster: Cluster, job: Job) -> None:
        if claimed := await cluster.claim(job):
            for one in throttles:
                one.is_busy = True
            await work(cluster, claimed)
            for one in throttles:
                one.is_busy = False
        job.end()

    async with open_cluster(dsn, name, "1") as cluster:
        try:
            cluster.start()
            async with anyio.create_task_group() as group:
                group.start_soon(cluster.run)
                for source in sources:
                    group.start_soon(serve, cluster, source)
                yield cluster
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await cluster.stop()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.02)


@pytest.fixture
def database(postgres: str) -> Database:
    return prepared(postgres)


async def test_nodes_share_the_units_and_none_is_polled_twice_at_once(
    postgres: str, database: Database
) -> None:
    names = [f"{number:05b}" for number in range(32)]
    worked = Worked(takes=0.05)
    async with AsyncExitStack() as stack:
        for name in "ab":
            await stack.enter_async_context(node(postgres, name, ["s"], names, worked))
        await until(lambda: len(worked.polls) == 32)
    assert set(worked.polls.values()) == {1}
    assert worked.most == 1
    assert set(worked.by) == {"a", "b"}
    assert rows(database, "SELECT count(*) FROM procrastinate_jobs") == [(0,)]
    database.close()


async def test_a_job_table_that_is_emptied_in_the_middle_mends_itself(
    postgres: str, database: Database
) -> None:
    names = [f"{number:05b}" for number in range(32)]
    worked = Worked(takes=0.05)
    async with node(postgres, "a", ["s"], names, worked):
        await until(lambda: len(worked.polls) > 4)
        execute(database, "TRUNCATE procrastinate_jobs CASCADE")
        # An interval passes.
        execute(database, "UPDATE cluster_units SET due = now() WHERE completed IS NULL")
        await until(lambda: len(worked.polls) == 32)
    database.close()


async def test_what_is_asked_for_now_is_polled_now(postgres: str, database: Database) -> None:
    worked = Worked()
    async with node(postgres, "a", ["s"], ["all"], worked) as a:
        await until(lambda: worked.polls["s", "all"] == 1)
        await a.poll_now("s")
        await until(lambda: worked.polls["s", "all"] == 2)
        await a.hint("s", 0)
        await until(lambda: worked.polls["s", "all"] == 3)
    database.close()


async def test_a_source_that_is_gone_is_polled_no_more(postgres: str, database: Database) -> None:
    worked = Worked(every=0.1)
    async with open_cluster(postgres, "a", "1") as cluster:
        cluster.start()
        async with anyio.create_task_group() as group:
            group.start_soon(cluster.run)
            jobs = cluster.serve("s", [])
            await cluster.publish("s", ["0", "1"], 0.1, sticky=False)
            job = await jobs.receive()
            claimed = await cluster.claim(job)
            assert claimed is not None
            await worked(cluster, claimed)
            job.end()
            await cluster.withdraw("s", jobs)
            jobs.close()
            assert rows(database, "SELECT * FROM cluster_units") == []
            group.cancel_scope.cancel()
        await cluster.stop()
    database.close()


async def test_a_source_that_is_opened_anew_keeps_its_units(
    postgres: str, database: Database
) -> None:
    async with open_cluster(postgres, "a", "1") as cluster:
        cluster.start()
        before = cluster.serve("s", [])
        await cluster.publish("s", ["all"], 60, sticky=True)
        execute(database, "UPDATE cluster_units SET cursor = 'here'")
        after = cluster.serve("s", [])
        await cluster.publish("s", ["all"], 60, sticky=True)
        await cluster.withdraw("s", before)
        before.close()
        assert rows(database, "SELECT cursor FROM cluster_units") == [("here",)]
        await cluster.withdraw("s", after, forget=False)
        after.close()
        assert rows(database, "SELECT cursor FROM cluster_units") == [("here",)]
        await cluster.stop()
    database.close()


@pytest.mark.slow
async def test_three_nodes_of_which_one_hangs_never_use_more_than_there_is(
    postgres: str, database: Database
) -> None:
    throttles = {name: Slots(6) for name in "abc"}
    worked = Worked(every=0.01, takes=0.02)
    seen: set[int] = set()

    def in_use() -> int:
        found = rows(database, "SELECT coalesce(sum(slots), 0)::int FROM cluster_shares")[0][0]
        seen.add(found)
        return int(found)

    async with AsyncExitStack() as stack:
        for name in "abc":
            await stack.enter_async_context(
                node(postgres, name, ["s"], ["0", "1"], worked, throttles[name])
            )
            in_use()
        shares = "SELECT node, slots FROM cluster_shares ORDER BY node"
        await until(lambda: bool(in_use()) and rows(database, shares) == [
            ("a", 2), ("b", 2), ("c", 2)
        ])  # fmt: skip
        assert [throttles[name].most for name in "abc"] == [2, 2, 2]
        # One that is not alive any more, as the others see it.
        execute(
            database,
            "INSERT INTO cluster_nodes (node, instance, backend, host, version) VALUES"
            " ('d', 'd', 0, 'h', '1')",
        )
        execute(database, "INSERT INTO cluster_shares VALUES ('s', 'd', 0)")
        await until(lambda: bool(in_use()) and sum(t.most for t in throttles.values()) == 5)
        execute(database, "UPDATE cluster_nodes SET heartbeat = heartbeat - interval '16 s'"
                " WHERE node = 'd'")  # fmt: skip
        await until(lambda: bool(in_use()) and sum(t.most for t in throttles.values()) == 6)
    assert max(seen) <= 6
    database.close()


async def test_a_pause_holds_on_all_nodes(postgres: str, database: Database) -> None:
    one, other = Slots(4), Slots(4)
    worked = Worked()
    async with (
        node(postgres, "a", ["s"], ["0", "1"], worked, one),
        node(postgres, "b", ["s"], ["0", "1"], worked, other),
    ):
        one.pause = 50.0
        await until(lambda: other.pause > 30.0)
    database.close()


async def test_a_node_that_stood_still_is_not_sure_of_its_share(
    postgres: str, database: Database
) -> None:
    throttle = Slots(4)
    async with node(postgres, "a", ["s"], ["0", "1"], Worked(), throttle) as a:
        await until(lambda: bool(a._served))
        assert throttle.is_sure()
        # As if it had been stopped for so long.
        a.membership._reached -= STALLED
        is_sure = throttle.is_sure()
        a.membership._reached += STALLED
        assert not is_sure
    database.close()


async def test_the_loss_of_its_name_ends_the_block(postgres: str, database: Database) -> None:
    holder = Database(postgres, "holder")

    def hold() -> None:
        holder.run(
            lambda connection: connection.execute(
                "SELECT pg_advisory_lock(%s, hashtext('a'))", (NODE_LOCK,)
            )
        )

    with capture_logs(), pytest.raises(ExceptionGroup) as raised:
        async with open_cluster(postgres, "a", "1"), anyio.create_task_group() as group:
            # Another process waits for the name, and has it once the session is gone.
            group.start_soon(anyio.to_thread.run_sync, hold)
            waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            await until(lambda: bool(rows(database, waiting)))
            execute(
                database,
                "UPDATE cluster_nodes SET instance = 'another', heartbeat = now() + interval '1 h'",
            )
            execute(database, "SELECT pg_terminate_backend(backend) FROM cluster_nodes")
            await anyio.sleep(60)
    assert isinstance(next(leaf_exceptions(raised.value)), StateInUse)
    holder.close()
    database.close()


@pytest.mark.slow
async def test_a_thousand_units_with_cold_statistics(
    postgres: str, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [f"s{number}" for number in range(4)]
    names = [f"{number:08b}" for number in range(250)]
    worked = Worked()
    began = time.monotonic()
    async with node(postgres, "a", sources, names, worked):
        await until(lambda: len(worked.polls) == 1000, 200)
    seconds = time.monotonic() - began
    with capsys.disabled():
        print(f"\n1,000 units of 4 sources by one node: {1000 / seconds:.0f} jobs/s")
    eventually(lambda: rows(database, "SELECT count(*) FROM procrastinate_jobs") == [(0,)])
    database.close()
