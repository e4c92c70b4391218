"""One node at a time has the turn of a source, and nobody waits for one that hangs or is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import anyio
import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra 'cluster')")

import psycopg

from pipeline.cluster.database import Connection, Database
from pipeline.cluster.turns import NodeTurns
from pipeline.errors import RetryableError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

T = TypeVar("T")


@contextmanager
def node(dsn: str, claim: float = 30.0) -> Iterator[NodeTurns]:
    database = Database(dsn, "test")
    try:
        yield NodeTurns(database, claim)
    finally:
        database.close()


def execute(dsn: str, sql: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.encode())


async def take(turns: NodeTurns, source: str = "box") -> bool:
    """Take a turn; whether one before it was orphaned."""
    async with turns.turn(source) as turn:
        return turn.is_orphaned


async def test_nodes_have_a_turn_one_after_the_other_and_sources_at_once(postgres: str) -> None:
    having: dict[str, int] = {"box": 0, "bank": 0}
    most: dict[str, int] = {"box": 0, "bank": 0}
    at_once = 0

    async def use(turns: NodeTurns, source: str) -> None:
        nonlocal at_once
        async with turns.turn(source) as turn:
            assert not turn.is_orphaned
            assert not turn.is_over
            having[source] += 1
            most[source] = max(most[source], having[source])
            at_once = max(at_once, sum(having.values()))
            await anyio.sleep(0.05)
            having[source] -= 1

    with node(postgres) as one, node(postgres) as other:
        async with anyio.create_task_group() as group:
            for number in range(6):
                for source in having:
                    group.start_soon(use, (one, other)[number % 2], source)
    assert most == {"box": 1, "bank": 1}
    assert at_once == 2


async def test_what_a_block_raises_comes_out_as_it_is_and_the_turn_is_given_back(
    postgres: str,
) -> None:
    error = RetryableError("box", "the issuer is busy")
    with node(postgres) as one, node(postgres) as other:
        with pytest.raises(RetryableError) as raised:
            async with one.turn("box"):
                raise error
        assert raised.value is error
        with anyio.fail_after(10):
            assert not await take(other)


async def test_a_cancelled_block_gives_its_turn_back(postgres: str) -> None:
    with node(postgres) as one, node(postgres) as other:
        with anyio.move_on_after(0.1) as scope:
            async with one.turn("box"):
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        with anyio.fail_after(10):
            await take(other)


async def test_a_turn_of_a_node_that_is_gone_ends_and_is_orphaned_until_one_is_done(
    postgres: str,
) -> None:
    with node(postgres) as one:
        await take(one)
        execute(
            postgres, "UPDATE cluster_turns SET holder = 'gone', until = now() + interval '1 s'"
        )
        with pytest.raises(RetryableError, match="busy"):
            async with one.turn("box") as turn:
                assert turn.is_orphaned
                raise RetryableError("box", "busy")
        assert await take(one)
        assert not await take(one)


async def test_who_lives_keeps_its_turn_beyond_the_time_of_a_claim(postgres: str) -> None:
    said: list[str] = []
    with node(postgres, 1.0) as slow, node(postgres, 1.0) as other:

        async def wait() -> None:
            assert not await take(other)
            said.append("other")

        async with anyio.create_task_group() as group, slow.turn("box") as turn:
            group.start_soon(wait)
            await anyio.sleep(3)
            assert not turn.is_over
            said.append("slow")
    assert said == ["slow", "other"]


async def test_who_was_held_up_knows_that_its_turn_may_be_anothers(postgres: str) -> None:
    with node(postgres, 1.0) as one:
        async with one.turn("box") as turn:
            execute(postgres, "UPDATE cluster_turns SET holder = 'another'")
            with anyio.fail_after(10):
                while not turn.is_over:
                    await anyio.sleep(0.05)
        # What is another's is not given back.
        execute(
            postgres,
            "DO $$ BEGIN ASSERT (SELECT holder FROM cluster_turns) = 'another'; END $$",
        )


class LosesAnswers:
    """A database on which the answer to each first statement is lost after it was carried out."""

    def __init__(self, dsn: str) -> None:
        self.database = Database(dsn, "test")
        self._count = 0

    def run(self, work: Callable[[Connection], T], limit: float | None = None) -> T:
        found = self.database.run(work, limit)
        self._count += 1
        if self._count % 2:
            raise RetryableError("the database", "the answer was lost")
        return found


async def test_a_claim_whose_answer_is_lost_is_ones_own(postgres: str) -> None:
    lossy = LosesAnswers(postgres)
    with anyio.fail_after(20):
        for _ in range(3):
            assert not await take(NodeTurns(lossy))
    lossy.database.close()


async def test_turns_have_one_clock_which_is_the_servers(postgres: str) -> None:
    with node(postgres) as one:
        async with one.turn("box") as turn:
            with psycopg.connect(postgres) as connection:
                row = connection.execute("SELECT extract(epoch FROM now())::float8").fetchone()
    assert row is not None
    assert abs(row[0] - turn.at) < 60


async def test_nodes_that_start_at_once_make_one_table(postgres: str) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(node(postgres)) for _ in range(8)]
        async with anyio.create_task_group() as group:
            for number, one in enumerate(nodes):
                group.start_soon(take, one, f"source {number}")


async def test_without_a_server_there_is_no_turn_and_the_words_say_so() -> None:
    with (
        node("host=127.0.0.1 port=1 dbname=x user=x") as one,
        pytest.raises(RetryableError, match="can't be reached"),
    ):
        await take(one)


async def test_who_may_make_no_table_is_told_and_may_use_one_that_is_there(postgres: str) -> None:
    execute(
        postgres,
        "DROP ROLE IF EXISTS turns_reader; CREATE ROLE turns_reader LOGIN;"
        " REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    limited = postgres.replace("user=synqup", "user=turns_reader")
    with node(limited) as one, node(postgres) as owner:
        with pytest.raises(RetryableError, match=r"refuses a statement .*permission denied"):
            await take(one)
        await take(owner)
        execute(postgres, "GRANT SELECT, INSERT, UPDATE ON cluster_turns TO turns_reader")
        assert not await take(one)
    execute(postgres, "DROP OWNED BY turns_reader; DROP ROLE turns_reader")
