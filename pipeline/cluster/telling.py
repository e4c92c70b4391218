"""Telling: the turn of one node to tell people, for all nodes, of what is wrong and what is over.

The turn is a row with an end, which its holder moves on for as long as it lives; what was told, and
what is still to be sent, lies in that row, so that whoever has the turn next goes on with it. A
node that has lost its turn, as one that hung, can't write there any more. All times in the row are
the server's.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.to_thread
import structlog

from pipeline.cluster.database import Connection, Database, DatabaseLost
from pipeline.cluster.nodes import BEAT, STALLED
from pipeline.errors import RetryableError, StateError

log = structlog.get_logger(__name__)

#: Seconds for which a turn is good, between two moves of its end, and between two tries to get it.
TURN, RENEW, TRY = STALLED, BEAT, BEAT
#: Seconds before its end in which nothing is begun any more.
MARGIN = 2.0


class NotOurTurn(OSError):
    """Another node has the turn, or may have it by now."""


class Telling:
    """The turn as one node sees it: held() for the event loop; read() and write() block."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node
        self._holder = ""
        #: When the turn ends, by the clock that stands still in a suspended machine, and by the
        #: other one, which people set.
        self._ends = (0.0, 0.0)

    @property
    def is_held(self) -> bool:
        """Whether it is certain that this node has the turn, for a moment at least."""
        at = (time.monotonic(), time.time())
        return bool(self._holder) and all(
            now + MARGIN < end for now, end in zip(at, self._ends, strict=True)
        )

    @asynccontextmanager
    async def held(self) -> AsyncIterator[float]:
        """Wait for the turn, and have it while the block runs; gives when it began.

        Where it is lost, the block is cancelled, and left as if it had ended.
        """
        await self._wait()
        log.info("this node tells what is wrong in the cluster", node=self._node)
        failure: Exception | None = None
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._renew, group.cancel_scope)
                try:
                    yield time.time()
                except Exception as error:  # noqa: BLE001 - it is raised outside of the group
                    failure = error
                finally:
                    group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True), suppress(DatabaseLost, StateError):
                await anyio.to_thread.run_sync(self._database.run, self._give_back)
            self._holder = ""
        if failure is not None:
            raise failure

    def read(self) -> bytes | None:
        """What was told, and is still to be sent; None if there is nothing.

        Raises RetryableError where the database can't be reached, or another node has the turn.
        """
        row = self._database.run(
            lambda connection: connection.execute(
                "SELECT state FROM cluster_telling WHERE holder = %s", (self._holder,)
            ).fetchone()
        )
        if row is None:
            raise RetryableError("alerts", "another node has the turn to tell them")
        return row[0] if row[0] is None else bytes(row[0])

    def write(self, data: bytes) -> None:
        """Replace it. Raises OSError: NotOurTurn where another node has the turn by now."""
        try:
            row = self._database.run(
                lambda connection: connection.execute(
                    "UPDATE cluster_telling SET state = %s WHERE holder = %s RETURNING 1",
                    (data, self._holder),
                ).fetchone()
            )
        except (DatabaseLost, StateError) as error:
            raise OSError(0, error.reason) from None
        if row is None:
            self._ends = (0.0, 0.0)
            raise NotOurTurn(0, "another node has the turn")

    def put_aside(self) -> None:
        """Nothing: what can't be understood is replaced with the next write."""

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    async def _wait(self) -> None:
        self._holder = f"{self._node} {secrets.token_hex(12)}"
        while not await self._try():  # noqa: ASYNC110 - it is another process that has it
            await anyio.sleep(TRY)

    async def _renew(self, scope: anyio.CancelScope) -> None:
        """Move the end of the turn on; cancel the scope when it is lost."""
        while True:
            await anyio.sleep(RENEW)
            if not await self._try() and not self.is_held:
                log.warning("this node has lost the turn to tell what is wrong", node=self._node)
                scope.cancel()
                return

    async def _try(self) -> bool:
        """Take the turn, or move its end on; False where that has failed for now or for good."""
        began = (time.monotonic(), time.time())
        with anyio.CancelScope(shield=True):
            try:
                if await anyio.to_thread.run_sync(self._database.run, self._take):
                    self._ends = (began[0] + TURN, began[1] + TURN)
                    return True
                self._ends = (0.0, 0.0)
            except (DatabaseLost, StateError) as error:
                log.info("the turn to tell what is wrong is asked for later", reason=str(error))
        return False

    def _take(self, connection: Connection) -> bool:
        row = connection.execute(
            "UPDATE cluster_telling SET holder = %s, node = %s, until = now() + %s * interval"
            " '1 s' WHERE holder = %s OR until < now() RETURNING 1",
            (self._holder, self._node, TURN, self._holder),
        ).fetchone()
        return row is not None

    def _give_back(self, connection: Connection) -> None:
        connection.execute(
            "UPDATE cluster_telling SET holder = '', until = now() WHERE holder = %s",
            (self._holder,),
        )
