"""Cluster catch-up: has every part of every source brought once, by this node and all others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import anyio
from msgspec import Struct

from pipeline.app.unit_part import failure_in
from pipeline.app.unit_poller import UnitPoller
from pipeline.app.wiring import Application, Config
from pipeline.cluster.cluster import Cluster
from pipeline.cluster.database import DatabaseLost
from pipeline.source import Source

T = TypeVar("T")

#: Seconds between two looks whether all is done.
LOOK = 1.0


class Brought(Struct, frozen=True):
    """What came of it: the sources of which a part failed, and why; and what could not be read."""

    failures: Mapping[str, str]
    unreadable: Mapping[str, int]


async def bring_all(
    sources: Sequence[Source], config: Config, application: Application, cluster: Cluster
) -> Brought:
    """Return when each part of these sources has been brought to its end since now.

    A part that fails has come to its end, and so has that of a source which somebody has paused.
    Raises StateError alone.
    """
    if not sources:
        return Brought({}, {})
    pollers = [UnitPoller(one.settings, one, application, config, cluster) for one in sources]
    cluster.start()
    async with anyio.create_task_group() as working:
        working.start_soon(cluster.run)
        for poller in pollers:
            working.start_soon(poller.run)
        for poller in pollers:
            await poller.published.wait()
        since = await _patiently(cluster.now)
        for poller in pollers:
            poller.poll_now()
        wanted = {one.source.name: list(one.parts) for one in pollers}
        await _until_done(cluster, since, wanted)
        states = await _patiently(lambda: cluster.states(list(wanted)))
        working.cancel_scope.cancel()
    failures = {
        name: str(failure)
        for name, state in states.items()
        if (failure := failure_in(state)) is not None
    }
    unreadable = {name: state.unreadable for name, state in states.items() if state.unreadable}
    return Brought(failures, unreadable)


async def _until_done(cluster: Cluster, since: float, wanted: Mapping[str, Sequence[str]]) -> None:
    """Wait until none of these units is left; the work is done by whichever nodes."""
    while True:
        if not await _patiently(lambda: cluster.unfinished(since, wanted)):
            return
        await anyio.sleep(LOOK)


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the cluster, again where it can't be reached: for how long the heartbeat decides."""
    while True:
        try:
            return await ask()
        except DatabaseLost:
            await anyio.sleep(LOOK)
