"""Two sessions at one ledger in PostgreSQL: who clears away waits for who is about to stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import pytest

from pipeline.document import Key
from pipeline.ledger import takeover
from pipeline.ledger.allocation import NextNumbers, allocate
from pipeline.ledger.connection import Connection
from pipeline.ledger.models import AllocatedName, Allocation, Staged, Unrecorded
from pipeline.ledger.place import PostgresPlace
from tests.helpers.clustering import eventually
from tests.helpers.ledgers import psycopg_of

pytest.importorskip("psycopg")

from pipeline.ledger.postgres_store import PostgresStore, open_postgres

MARK = "a" * 24
STAGED = f"out/.synqup/{'0' * 64}-{MARK}-1"


class Sessions(NamedTuple):
    """place: of the ledger. stager: a process that hangs; sweeper: a later one of its node."""

    place: PostgresPlace
    stager: PostgresStore
    sweeper: PostgresStore
    threads: ThreadPoolExecutor

    def sweep(self, begin: Callable[[], Connection]) -> Future[set[str]]:
        """Begin to clear away in a thread: retire the mark, and ask what is staged."""

        def work() -> set[str]:
            found = takeover.retire([MARK], begin())
            self.sweeper.commit()
            return found

        return self.threads.submit(work)

    def begin_to_sweep(self) -> Connection:
        return self.sweeper.begin(durable=True, reading=False)

    def is_waiting(self) -> bool:
        """Whether a session waits for the lock of all changes."""
        with psycopg_of(self.place) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
            return found.fetchone() is not None


@pytest.fixture
def sessions(postgres: str) -> Iterator[Sessions]:
    stager, sweeper = open_postgres(postgres, "n1"), open_postgres(postgres, "n1")
    with ThreadPoolExecutor() as threads:
        yield Sessions(PostgresPlace(postgres), stager, sweeper, threads)
        stager.close()
        sweeper.close()


def begin_to_stage(store: PostgresStore) -> list[Allocation]:
    """Stage a document in a transaction that is left open."""
    connection = store.begin(durable=True, reading=False)
    connection.execute(
        "INSERT INTO documents (source, id, revision, label, state, seen_at, changed_at, poll)"
        " VALUES ('box', '1', '', '', 'seen', 1, 1, 0) ON CONFLICT DO NOTHING"
    )
    one = Staged(Key("box", "1", ""), STAGED, (), "out/7.xml", "BE1", "sales", "ab", 9, "", "", 3.0)
    return allocate([one], 1.0, "n1", NextNumbers(), connection)


def test_it_waits_for_a_stage_that_is_not_committed_and_sees_it(sessions: Sessions) -> None:
    assert begin_to_stage(sessions.stager) == [AllocatedName("out/7.xml")]
    swept = sessions.sweep(sessions.begin_to_sweep)
    eventually(sessions.is_waiting)
    assert not swept.done()
    sessions.stager.commit()
    assert swept.result(30) == {STAGED}


def test_without_the_lock_it_would_see_nothing(sessions: Sessions) -> None:
    """A check that can't fail is none."""

    def begin_at_once() -> Connection:
        connection = sessions.sweeper.begin(durable=True, reading=True)
        connection.execute("BEGIN")
        return connection

    begin_to_stage(sessions.stager)
    assert sessions.sweep(begin_at_once).result(30) == set()
    sessions.stager.commit()


def test_what_was_not_committed_is_staged_no_more_after_it(sessions: Sessions) -> None:
    begin_to_stage(sessions.stager)
    swept = sessions.sweep(sessions.begin_to_sweep)
    eventually(sessions.is_waiting)
    # The answer to its commit is lost, and it was not made.
    sessions.stager.close()
    assert swept.result(30) == set()
    assert begin_to_stage(sessions.stager) == [Unrecorded(None)]
    sessions.stager.commit()
