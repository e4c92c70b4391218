"""Turns of the nodes: a claim on a source's sign-in in PostgreSQL, which ends by itself.

No transaction is open while somebody has the turn: a claim is a row with an end, which its holder
moves on for as long as it lives. All times in the row are the server's. A statement whose answer is
lost is simply executed again: each names the turn that it is of.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread

from pipeline.cluster.database import Connection
from pipeline.errors import RetryableError, StateError, SynqupError
from pipeline.turns import Turn, Turns

T = TypeVar("T")

#: Seconds after which a claim ends whose holder does not move its end on, and between two moves.
CLAIM = 30.0
PROLONGED_EVERY = 8.0
#: Seconds between two tries to get a turn, and for which it is tried.
PAUSE = 0.2
PATIENCE = 180.0
#: Times that a statement is executed whose answer does not come.
TRIES = 3

_TABLE = """
CREATE TABLE IF NOT EXISTS cluster_turns (
    source text PRIMARY KEY, holder text NOT NULL, until timestamptz NOT NULL,
    is_orphaned boolean NOT NULL
)"""
#: Nodes that make the table at once would trip over one another.
_TABLE_LOCK = 0x53796E04

_CLAIM = """
INSERT INTO cluster_turns AS t (source, holder, until, is_orphaned)
VALUES (%(source)s, %(holder)s, now() + %(claim)s * interval '1 s', false)
ON CONFLICT (source) DO UPDATE SET holder = excluded.holder, until = excluded.until,
    is_orphaned = t.is_orphaned OR t.holder NOT IN ('', excluded.holder)
WHERE t.holder IN ('', excluded.holder) OR t.until < now()
RETURNING extract(epoch FROM now())::float8, is_orphaned"""

_PROLONG = """
UPDATE cluster_turns SET until = now() + %(claim)s * interval '1 s'
WHERE source = %(source)s AND holder = %(holder)s"""

_GIVE_BACK = """
UPDATE cluster_turns SET holder = '', is_orphaned = is_orphaned AND NOT %(done)s
WHERE source = %(source)s AND holder = %(holder)s"""


class Database(Protocol):
    """What runs a function in a transaction of its own, with a limit of time on each wait."""

    def run(self, work: Callable[[Connection], T], limit: float | None = None) -> T:
        """Return what the function returns. RetryableError if the server can't be reached."""


class NodeTurns(Turns):
    """The turns of all nodes that share a database; claim: seconds until one ends by itself."""

    def __init__(self, database: Database, claim: float = CLAIM) -> None:
        self._database = database
        self._claim = claim
        self._is_prepared = False

    def turn(self, source: str) -> AbstractAsyncContextManager[Turn]:
        """As the contract. RetryableError also if others have had it for PATIENCE in all."""
        return self._turn(source)

    @asynccontextmanager
    async def _turn(self, source: str) -> AsyncGenerator[Turn]:
        values = {
            "source": source,
            "holder": secrets.token_hex(12),
            "claim": self._claim,
        }
        turn = await self._wait(values)
        failure: Exception | None = None
        is_done = False
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._prolong, turn, values)
                try:
                    yield turn
                    is_done = True
                except Exception as error:  # noqa: BLE001 - it is raised outside of the group
                    failure = error
                group.cancel_scope.cancel()
        finally:
            # Where this fails as well, the claim ends by itself.
            with anyio.CancelScope(shield=True), suppress(SynqupError):
                await self._execute(_GIVE_BACK, {**values, "done": is_done})
        if failure is not None:
            raise failure

    async def _wait(self, values: dict[str, Any]) -> Turn:
        until = time.monotonic() + PATIENCE
        while True:
            began = time.monotonic()
            # A claim that is made must be known to be made.
            with anyio.CancelScope(shield=True):
                row = await self._execute(_CLAIM, values)
            if row is not None:
                at, is_orphaned = row
                return Turn(at, is_orphaned=is_orphaned, ends=began + self._claim)
            if time.monotonic() > until:
                raise RetryableError(
                    f"source {values['source']}",
                    f"other nodes have been renewing its sign-in for {PATIENCE:.0f} s",
                    "See in their logs what keeps them; it will be retried",
                )
            await anyio.sleep(PAUSE)

    async def _prolong(self, turn: Turn, values: dict[str, Any]) -> None:
        while True:
            await anyio.sleep(min(PROLONGED_EVERY, self._claim / 4))
            began = time.monotonic()
            with suppress(SynqupError):
                row = await self._execute(f"{_PROLONG} RETURNING 1", values)
                if row is None:
                    turn.ends = began
                    return
                turn.ends = began + self._claim

    async def _execute(self, sql: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
        for _ in range(TRIES - 1):
            with suppress(RetryableError):
                return await anyio.to_thread.run_sync(self._run, sql, values)
            await anyio.sleep(PAUSE)
        return await anyio.to_thread.run_sync(self._run, sql, values)

    def _run(self, sql: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
        def work(connection: Connection) -> tuple[Any, ...] | None:
            if not self._is_prepared:
                _prepare(connection)
            cursor = connection.execute(sql.encode(), values)
            return cursor.fetchone() if cursor.description is not None else None

        try:
            found = self._database.run(work)
        except StateError as error:
            # It concerns the sign-in of this source, and not the state of the program.
            raise RetryableError(error.subject, error.reason, error.remedy) from error
        self._is_prepared = True
        return found


def _prepare(connection: Connection) -> None:
    """Make the table; who may make none may use one that is there."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_TABLE_LOCK,))
    if connection.execute("SELECT to_regclass('cluster_turns')").fetchone() == (None,):
        connection.execute(_TABLE)
