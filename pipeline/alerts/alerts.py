"""Alerts of a service: keeps them going as configured, and none where nobody is to be told.

Whatever happens to it concerns no document: it never raises, and the service goes on without it.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.to_thread
import structlog
from msgspec import Struct

from pipeline.alerts.settings import AlertSettings
from pipeline.alerts.store import Kept
from pipeline.errors import RetryableError
from pipeline.health.model import Health
from pipeline.ledger.place import LedgerPlace

log = structlog.get_logger(__name__)

#: Seconds until alerts begin again after a fault of their own.
RESTART = 60.0
#: Seconds until a node tries again to tell for all.
AGAIN = 5.0
#: Seconds that their end may take.
END_TIMEOUT = 3.0


class Company(Protocol):
    """What is known of a company of the configuration."""

    @property
    def identifier(self) -> str:
        """By which the ledger knows it."""

    @property
    def name(self) -> str:
        """By which people know it."""

    @property
    def source(self) -> str:
        """The source of its documents."""


class Watched(Struct, frozen=True):
    """A configured company. sources: the names of those that bring its documents."""

    name: str
    sources: frozenset[str]


class Turn(Kept, Protocol):
    """The turn of one node of a cluster to tell for all of them, and where what was told lies."""

    @property
    def is_held(self) -> bool:
        """Whether it is certain that this node has it."""

    def held(self) -> AbstractAsyncContextManager[float]:
        """Wait for it, and have it while the block runs, which is ended when it is lost.

        Gives when it began, in seconds since 1970.
        """


class Alerts:
    """The alerts of [alerts]. For the event loop alone."""

    def __init__(
        self,
        settings: AlertSettings,
        companies: Iterable[Company],
        health: Callable[[], Awaitable[Health]],
        state_dir: Path,
        ledger: LedgerPlace,
        turn: Turn | None = None,
    ) -> None:
        """health: tells how the service is. ledger: where it lies.

        turn: where several nodes take turns to tell, of all of which the health is.
        """
        self.settings = settings
        #: The configured companies by their identifiers.
        self.companies = watched(companies)
        self.health = health
        self.folder = state_dir / "alerts"
        self.ledger = ledger
        self.turn = turn
        self._applied = anyio.Event()
        #: What tells; imported only when somebody is to be told.
        self._watch: Any = None

    def apply(self, settings: AlertSettings, companies: Iterable[Company]) -> None:
        """Tell by other settings from now on; what is still to be sent is kept."""
        self.companies = watched(companies)
        if settings != self.settings:
            self.settings = settings
            self._applied.set()
            self._applied = anyio.Event()

    async def run(self, stopping: anyio.Event | None = None) -> None:
        """Tell until cancelled. stopping: set where that is no end by an error."""
        try:
            while True:
                applied = self._applied
                async with anyio.create_task_group() as group:
                    if self.settings.tells:
                        group.start_soon(self._tell)
                    await applied.wait()
                    group.cancel_scope.cancel()
        finally:
            if self._watch is not None:
                with anyio.move_on_after(END_TIMEOUT, shield=True):
                    await self._watch.end(is_stop=stopping is None or stopping.is_set())

    async def _tell(self) -> None:
        while True:
            # In a thread: it takes longer than all that one poll does.
            watch: Any = await anyio.to_thread.run_sync(import_module, "pipeline.alerts.watch")
            try:
                if self.turn is not None:
                    await self._tell_in_turn(watch, self.turn)
                    continue
                if self._watch is None:
                    self._watch = await watch.begin(self)
                await self._watch.run(self.settings)
            except RetryableError as error:
                log.info("alerts are told later", reason=str(error))
                await anyio.sleep(AGAIN)
                continue
            except Exception as error:
                log.error("alerts begin anew after a fault of synqup's own", exc_info=error)
            await anyio.sleep(RESTART)

    async def _tell_in_turn(self, watch: Any, turn: Turn) -> None:
        """Tell for all nodes while it is this one's turn."""
        async with turn.held() as began:
            one = await watch.begin_turn(self, turn, began)
            try:
                await one.run(self.settings)
            finally:
                with anyio.move_on_after(END_TIMEOUT, shield=True):
                    await one.end_turn()


def watched(companies: Iterable[Company]) -> dict[str, Watched]:
    """The companies by their identifiers, as the rules want them."""
    found: dict[str, Watched] = {}
    for one in companies:
        before = found.get(one.identifier)
        sources = before.sources if before else frozenset()
        found[one.identifier] = Watched(one.name, sources | {one.source})
    return found


def machine_name(settings: AlertSettings) -> str:
    """How messages name this installation."""
    return settings.name or socket.gethostname() or "synqup"
