"""Telling: one node at a time has the turn, and what it wrote is there for whoever is next."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster import telling
from pipeline.cluster.database import Database
from pipeline.cluster.telling import NotOurTurn, Telling
from pipeline.errors import RetryableError
from tests.helpers.clustering import execute, prepared

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    found = prepared(postgres)
    yield found
    found.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "TRY", 0.05)
    monkeypatch.setattr(telling, "RENEW", 0.1)


def of(postgres: str, node: str) -> Telling:
    return Telling(Database(postgres, node), node)


def let_end(database: Database) -> None:
    """Let time pass for the turn that somebody has."""
    execute(database, "UPDATE cluster_telling SET until = now() - interval '1 s'")


async def test_the_next_one_has_the_turn_when_it_is_given_back(
    postgres: str, database: Database
) -> None:
    one, two = of(postgres, "n1"), of(postgres, "n2")
    order: list[str] = []

    async def other() -> None:
        async with two.held():
            order.append("two")
            assert two.read() == b"told"

    async with anyio.create_task_group() as group, one.held() as began:
        assert began > 0
        assert one.is_held
        assert one.read() is None
        group.start_soon(other)
        await anyio.sleep(0.3)
        one.write(b"told")
        order.append("one")
    assert order == ["one", "two"]
    assert not one.is_held
    one.close()
    two.close()


async def test_a_turn_is_taken_over_from_one_that_hangs_and_it_can_not_write(
    postgres: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = of(postgres, "n1"), of(postgres, "n2")
    monkeypatch.setattr(telling, "RENEW", 3600)
    async with one.held():
        one.write(b"one")
        let_end(database)
        async with two.held():
            assert two.read() == b"one"
            two.write(b"two")
            with pytest.raises(NotOurTurn):
                one.write(b"late")
            assert not one.is_held
            with pytest.raises(RetryableError):
                one.read()
        # What the late one gives back is not the turn of another.
        async with two.held():
            assert two.read() == b"two"
    one.close()
    two.close()


async def test_the_block_is_cancelled_when_the_turn_is_lost(
    postgres: str, database: Database
) -> None:
    one = of(postgres, "n1")
    with anyio.fail_after(20):
        async with one.held():
            execute(database, "UPDATE cluster_telling SET holder = 'another'")
            await anyio.sleep_forever()
    assert not one.is_held
    one.close()


async def test_a_turn_that_was_not_moved_on_in_time_is_not_certain(
    postgres: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = of(postgres, "n1")
    monkeypatch.setattr(telling, "TURN", 2.5)
    monkeypatch.setattr(telling, "RENEW", 3600)
    async with one.held():
        assert one.is_held
        with anyio.fail_after(20):
            while one.is_held:
                await anyio.sleep(0.05)
    one.close()


async def test_what_the_block_raises_is_raised_as_it_is(postgres: str, database: Database) -> None:
    one, two = of(postgres, "n1"), of(postgres, "n2")
    with pytest.raises(RetryableError, match="no answer"):
        async with one.held():
            raise RetryableError("alerts", "no answer")
    async with two.held():
        assert two.is_held
    one.close()
    two.close()
