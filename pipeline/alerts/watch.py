"""Alert watch: the alerts of one process, from its start to its end, through edits of [alerts]."""

from __future__ import annotations

import anyio
import anyio.to_thread
import structlog
from msgspec import structs

from pipeline.alerts.alerts import Alerts, Turn, machine_name
from pipeline.alerts.aside import Aside
from pipeline.alerts.beats import CRASH
from pipeline.alerts.marker import Marker
from pipeline.alerts.runner import Runner, World
from pipeline.alerts.settings import AlertSettings
from pipeline.alerts.store import State, Store
from pipeline.errors import RetryableError
from pipeline.health.model import Health

log = structlog.get_logger(__name__)

#: Seconds between two signs of life in the marker.
TOUCH = 60.0
#: Ends of earlier processes that are remembered.
MAX_ENDED = 10


async def begin(alerts: Alerts) -> Watch:
    """Begin to watch: read what was told, and note an earlier process that was not stopped."""
    world = World(alerts.health, alerts.folder, alerts.ledger)
    store, marker = Store(alerts.folder, world.clock()), Marker(alerts.folder)

    def read() -> None:
        store.load()
        ended_at = marker.found()
        if ended_at is not None:
            _note_end(store, ended_at)
            # Before the marker is touched: a kill between the two is told all the same.
            store.save()
        marker.touch()

    await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
    return Watch(alerts, store, marker, world)


async def begin_turn(alerts: Alerts, turn: Turn, began: float) -> Watch:
    """Begin to watch for all nodes of a cluster: read what whoever told before has told.

    began: when the turn began; what was known to go wrong before that is settled anew since then,
    as after a start. That a node ended without a stop is told by the database.
    """

    async def health() -> Health:
        if not turn.is_held:
            raise RetryableError("alerts", "another node may have the turn to tell them by now")
        found = await alerts.health()
        if found.cluster is None:
            raise RetryableError("alerts", "the other nodes are not seen yet")
        return structs.replace(found, started_at=began)

    world = World(health, alerts.folder, alerts.ledger)
    store = Store(alerts.folder, world.clock(), turn)
    await anyio.to_thread.run_sync(store.load)
    # Nothing is sent that the next one would not know of.
    world = structs.replace(world, may_tell=lambda: turn.is_held and store.is_saved)
    return Watch(alerts, store, None, world)


def _note_end(store: Store, ended_at: float) -> None:
    memory = store.state.memory
    # A hang that was told is ended by whoever watches over the service, or by hand.
    is_told = any(one.cause == "stuck" for one in memory.incidents)
    if ended_at not in memory.ended and not is_told:
        ended = (*memory.ended, ended_at)[-MAX_ENDED:]
        store.put(State(structs.replace(memory, ended=ended), store.state.outbox))


class Watch:
    """What outlives a change of settings: what was told, and the marker."""

    def __init__(self, alerts: Alerts, store: Store, marker: Marker | None, world: World) -> None:
        """marker: of this process; None where the alerts are those of a cluster."""
        self._alerts = alerts
        self._store = store
        self._marker = marker
        self._world = world
        self._runner: Runner | None = None

    async def run(self, settings: AlertSettings) -> None:
        """Tell by these settings until cancelled."""
        is_start = self._runner is None and self._marker is not None
        self._runner = Runner(
            settings,
            machine_name(settings),
            lambda: self._alerts.companies,
            self._store,
            self._world,
        )
        async with anyio.create_task_group() as group:
            if self._marker is not None:
                group.start_soon(self._touch, self._marker)
            await self._runner.run(is_start=is_start)

    async def end(self, *, is_stop: bool) -> None:
        """End: after a stop nothing is left of the marker, after an error monitors are told."""
        if self._store.is_due:
            await anyio.to_thread.run_sync(self._store.save, abandon_on_cancel=True)
        if is_stop and self._marker is not None:
            await anyio.to_thread.run_sync(self._marker.end, abandon_on_cancel=True)
        elif self._runner is not None:
            await self._runner.call_monitors(CRASH)

    async def end_turn(self) -> None:
        """End a turn: nobody is told that this node ends, for another goes on."""
        if self._store.is_due:
            await anyio.to_thread.run_sync(self._store.save, abandon_on_cancel=True)

    async def _touch(self, marker: Marker) -> None:
        disk = Aside(TOUCH)
        while True:
            await anyio.sleep(TOUCH)
            try:
                await disk.run(marker.touch)
            except TimeoutError:
                log.debug("the marker can't be touched")
