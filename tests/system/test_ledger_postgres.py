"""The ledger in PostgreSQL: nothing is lost or done twice, whatever becomes of the connection."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import AllocatedName, Duplicate, NameTaken, Staged, State, Unrecorded
from pipeline.ledger.orders import REDELIVER, NewAction, NewOrder, OrderBook
from pipeline.ledger.place import PostgresPlace, open_store
from tests.helpers.cutting import Cut, CuttingProxy, cutting_proxy
from tests.helpers.ledgers import KEY, connection_of, psycopg_of, query, row, staged
from tests.helpers.postgres import PostgresServer, running_postgres

pytestmark = pytest.mark.anyio

OTHER = Key("box", "2", "")
ACTION = NewAction("jan", "redeliver", "7")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ledger.writer.RETRY_DELAY", 0.05)


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[CuttingProxy]:
    with cutting_proxy(postgres_server.port) as proxy:
        yield proxy


@pytest.fixture
def place(postgres_server: PostgresServer, postgres: str, proxy: CuttingProxy) -> PostgresPlace:
    """A new ledger, to which the proxy leads."""
    name = postgres.rpartition("dbname=")[2]
    return PostgresPlace(postgres_server.dsn(name, host="127.0.0.1", port=proxy.port))


def document(id_: str, name: str, identity: int | None = None, node: str = "") -> Staged:
    return Staged(
        *(Key("box", id_, ""), f"t/{id_}{node}", (), name, "BE1", "sales", "ab", 9, "", "", 3.0),
        identity=identity,
    )


async def stage(ledger: Ledger) -> None:
    assert await ledger.stage([staged()], 2.0) == [AllocatedName("out/7.xml")]


async def reallocate(ledger: Ledger) -> None:
    await ledger.stage([staged()], 2.0)


async def deliver(ledger: Ledger) -> None:
    await ledger.delivered([(KEY, "t/1")], 3.0)


async def take_back(ledger: Ledger) -> None:
    await ledger.unstaged([(KEY, "t/1", "the folder is full")], 3.0)


async def order(ledger: Ledger) -> None:
    book = OrderBook(ledger)
    number = await book.record(ACTION, [NewOrder(REDELIVER, KEY), NewOrder(REDELIVER, OTHER)], at=4)
    assert [one.key for one in await book.open()] == [KEY, OTHER]
    assert await book.left(number) == (2, 0, "")


async def quarantine(ledger: Ledger) -> None:
    await ledger.quarantined([(OTHER, "why")], 3.0)


async def not_kept(ledger: Ledger) -> None:
    await ledger.not_kept(OTHER, "gone")
    # Behind what nobody waits for.
    await ledger.contents("box", ["2"])


async def begin_poll(ledger: Ledger) -> None:
    assert await ledger.begin_poll("box") > 1


def states(place: PostgresPlace) -> list[tuple[Any, ...]]:
    return query(place, "SELECT id, state, path, staged, reason FROM documents ORDER BY id")


#: What is done, after what, and what the ledger then holds.
OPERATIONS: dict[str, tuple[Any, Any, Callable[[PostgresPlace], Any], Any]] = {
    "stage": (None, stage, states, [("1", "staged", "out/7.xml", "t/1", "")]),
    "delivered": (stage, deliver, states, [("1", "delivered", "out/7.xml", "", "")]),
    "unstaged": (
        stage,
        take_back,
        states,
        [("1", "waiting", "out/7.xml", "", "the folder is full")],
    ),
    "not kept": (
        quarantine,
        not_kept,
        lambda place: states(place)[-1],
        ("2", "quarantined", "", "", "why (gone)"),
    ),
    "orders": (
        None,
        order,
        lambda place: query(
            place, "SELECT count(*) FROM actions UNION ALL SELECT count(*) FROM orders"
        ),
        [(1,), (2,)],
    ),
    "begin poll": (None, begin_poll, lambda place: len(query(place, "SELECT 1 FROM sources")), 1),
}


@pytest.mark.parametrize("cut", [Cut.ANSWER, Cut.REQUEST])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_commit_without_an_answer_is_made_once(
    place: PostgresPlace, proxy: CuttingProxy, name: str, cut: Cut
) -> None:
    before, operation, found, wanted = OPERATIONS[name]
    async with open_ledger(place, 60.0, "n1") as ledger:
        await ledger.begin_poll("box")
        await ledger.seen([(KEY, "invoice 1")], 1.0)
        # Committed before the cut.
        await ledger.contents("box", ["1"])
        if before is not None:
            await before(ledger)
        proxy.next = cut
        await operation(ledger)
        assert proxy.cuts == 1
        assert ledger.unwritable is None
    assert found(place) == wanted


async def test_a_name_that_was_allocated_without_an_answer_is_the_one_that_is_recorded(
    place: PostgresPlace, proxy: CuttingProxy
) -> None:
    group = [document(str(n), "out/a.xml", identity=n % 7) for n in range(20)]
    async with open_ledger(place, 60.0, "n1") as ledger:
        await ledger.seen([(one.key, "") for one in group], 1.0)
        await ledger.contents("box", ["1"])
        proxy.next = Cut.ANSWER
        ends = await ledger.stage(group, 2.0)
        named = {
            o.key.id: e for o, e in zip(group, ends, strict=True) if isinstance(e, AllocatedName)
        }
        assert len(named) == 7
        assert {one.key.id: one.path for one in await ledger.unfinished()} == {
            id_: end.path for id_, end in named.items()
        }
        assert [end.number for end in named.values()] == [*range(1, 8)]
        assert all(isinstance(end, Duplicate) for end in ends[7:])
        proxy.next = Cut.ANSWER
        wanted = [NameTaken(group[0].key, "out/a.xml", 2, "t/0", "out/a.xml")]
        (other,) = await ledger.reallocate(wanted, 3.0)
        assert other is not None
        assert other.path in {one.path for one in await ledger.unfinished()}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of what takes some in earnest."""
    monkeypatch.setattr("pipeline.ledger.postgres_connection.IDLE_TIMEOUT", 0.5)
    monkeypatch.setattr("pipeline.ledger.postgres_connection.LOCK_TIMEOUT", 1.0)
    monkeypatch.setattr("pipeline.ledger.postgres_connection._Link.limit", 2.0)


@pytest.mark.usefixtures("short")
async def test_a_connection_that_has_gone_silent_is_given_up(
    place: PostgresPlace, proxy: CuttingProxy
) -> None:
    async with open_ledger(place, 60.0, "n1") as ledger:
        connection_of(ledger).set_limit(1.0)
        await ledger.seen([(KEY, "invoice 1")], 1.0)
        await ledger.contents("box", ["1"])
        proxy.next = Cut.SILENCE
        # The session that holds the lock is ended, and says nothing.
        await stage(ledger)
        assert proxy.cuts == 1
        assert (await row(ledger)).state is State.STAGED


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("last", ["one statement", "many"])
async def test_a_node_that_hangs_in_a_transaction_keeps_no_other_waiting(
    postgres: str, last: str
) -> None:
    place = PostgresPlace(postgres)
    with closing(open_store(place, "hanging")) as hanging:
        connection = hanging.begin(durable=True, reading=False)
        sql = "INSERT INTO sources (name) VALUES (?)"
        if last == "many":
            connection.executemany(sql, [("a",), ("b",)])
        else:
            connection.execute(sql, ("a",))
        async with open_ledger(place, 60.0, "n1") as ledger:
            await ledger.quarantined([(KEY, "why")], 1.0)
            assert query(place, "SELECT name FROM sources") == []
        # Whoever hung finds that nothing was committed.
        with pytest.raises(Exception, match=r"terminat|connection") as failed:
            hanging.commit()
        assert hanging.is_recoverable(failed.value)


async def test_a_server_that_is_gone_is_waited_for_and_then_said() -> None:
    with running_postgres() as server, server.database() as dsn:
        async with open_ledger(PostgresPlace(dsn), 0.5) as ledger:
            server.kill()
            with pytest.raises(StateError, match=r"PostgreSQL can't be reached.*Start the server"):
                await ledger.quarantined([(KEY, "why")], 1.0)
            assert ledger.unwritable is not None
            server.start()
            await ledger.quarantined([(KEY, "why")], 1.0)
            assert ledger.unwritable is None
            assert (await row(ledger)).state is State.QUARANTINED


@pytest.mark.parametrize("kills", [3])
async def test_a_server_that_is_killed_in_the_middle_loses_and_doubles_nothing(kills: int) -> None:
    with running_postgres() as server, server.database() as dsn:
        place = PostgresPlace(dsn)
        ends: dict[str, Any] = {}

        async def bring(ledger: Ledger, group: list[Staged]) -> None:
            await ledger.seen([(one.key, "") for one in group], 1.0)
            found = await ledger.stage(group, 2.0)
            ends.update({one.key.id: end for one, end in zip(group, found, strict=True)})
            named = [one for one in group if isinstance(ends[one.key.id], AllocatedName)]
            await ledger.delivered([(one.key, one.staged) for one in named[::2]], 3.0)

        async def bring_all(ledger: Ledger, lane: int) -> None:
            for number in range(40):
                first = (lane * 40 + number) * 5
                names = [
                    document(str(n), f"out/{n % 9}.xml", n // 2) for n in range(first, first + 5)
                ]
                await bring(ledger, names)

        async def restart() -> None:
            for kill in range(kills):
                with anyio.fail_after(60):
                    while len(ends) < 150 * (kill + 1):
                        await anyio.sleep(0.005)
                await anyio.to_thread.run_sync(server.kill)
                await anyio.to_thread.run_sync(server.start)

        async with open_ledger(place, 60.0, "n1") as ledger, anyio.create_task_group() as group:
            group.start_soon(restart)
            for lane in range(4):
                group.start_soon(bring_all, ledger, lane)
        check(place, ends)


def check(place: PostgresPlace, ends: dict[str, Any]) -> None:
    """What the ledger holds is what it has answered; each name and each document is there once."""
    rows = query(place, "SELECT id, state, path, identity FROM documents WHERE path <> ''")
    named = {id_: end.path for id_, end in ends.items() if isinstance(end, AllocatedName)}
    assert {id_: path for id_, _, path, _ in rows} == named
    assert max(Counter(named.values()).values()) == 1
    assert max(Counter(identity for *_, identity in rows).values()) == 1
    for end in ends.values():
        assert isinstance(end, AllocatedName | Duplicate), end
        if isinstance(end, Duplicate):
            assert end.key.id in named


async def test_nodes_that_write_at_once_get_names_of_their_own_and_know_each_others_documents(
    postgres: str,
) -> None:
    place = PostgresPlace(postgres)
    ends: dict[str, Any] = {}
    numbers: list[int] = []

    async def work(node: str, ready: Callable[[], Awaitable[None]]) -> None:
        async with open_ledger(place, 60.0, node) as ledger:
            await ready()
            async with anyio.create_task_group() as group:
                for lane in range(3):
                    group.start_soon(lanes, ledger, node, lane)

    async def lanes(ledger: Ledger, node: str, lane: int) -> None:
        for number in range(30):
            # The same names and the same documents on each node, in another order on each.
            order = range(6) if node != "n2" else reversed(range(6))
            base = (lane * 30 + number) * 6
            group = [document(f"{node}-{base + n}", f"out/{n}.xml", base + n, node) for n in order]
            numbers.append(await ledger.begin_poll(f"s{(lane + number) % 4}"))
            await ledger.seen([(one.key, "") for one in group], 1.0)
            found = await ledger.stage(group, 2.0)
            ends.update({one.key.id: end for one, end in zip(group, found, strict=True)})
            await ledger.polled(f"s{number % 4}", 1.0)
            named = [one for one in group if isinstance(ends[one.key.id], AllocatedName)]
            await ledger.delivered([(one.key, one.staged) for one in named], 3.0)

    started = 0
    all_started = anyio.Event()

    async def ready() -> None:
        nonlocal started
        started += 1
        if started == 3:
            all_started.set()
        await all_started.wait()

    async with anyio.create_task_group() as group:
        # Each makes the tables, if no other has.
        for node in ("n1", "n2", "n3"):
            group.start_soon(work, node, ready)
    check(place, ends)
    assert sum(isinstance(end, AllocatedName) for end in ends.values()) == 3 * 30 * 6
    with closing(psycopg_of(place)) as connection:
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert connection.execute(deadlocks).fetchone() == (0,)
        polls = dict(connection.execute("SELECT name, poll FROM sources").fetchall())
    assert sum(polls.values()) == len(numbers) == 270


async def test_one_document_that_two_nodes_have_fetched_is_staged_by_one(postgres: str) -> None:
    place = PostgresPlace(postgres)
    async with open_ledger(place, math.inf, "n1") as one, open_ledger(place, math.inf, "n2") as two:
        for ledger in (one, two):
            await ledger.seen([(KEY, "")], 1.0)
        assert await one.stage([document("1", "out/7.xml", node="a")], 2.0) == [
            AllocatedName("out/7.xml")
        ]
        assert await two.stage([document("1", "out/7.xml", node="b")], 2.0) == [
            Unrecorded(State.STAGED)
        ]
        (left,) = await two.unfinished()
        assert (left.node, left.staged) == ("n1", "t/1a")
        # Anybody may finish it; the one that staged it finds it done.
        for ledger in (two, one):
            await ledger.delivered([(KEY, "t/1a")], 3.0)
        assert await two.unfinished() == []


async def test_a_ledger_that_a_newer_program_has_migrated_is_left_to_it(
    place: PostgresPlace, proxy: CuttingProxy
) -> None:
    async with open_ledger(place, 0.2, "n1") as ledger:
        await ledger.seen([(KEY, "")], 1.0)
        await ledger.contents("box", ["1"])
        with closing(psycopg_of(place)) as connection:
            connection.execute("UPDATE ledger_version SET version = version + 1")
        proxy.next = Cut.REQUEST
        with pytest.raises(StateError, match=r"newer synqup.*Install that version"):
            await stage(ledger)
