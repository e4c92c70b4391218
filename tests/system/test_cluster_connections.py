"""What a source bears is never exceeded by all nodes together, as its own server counts it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from aiohttp import web

from tests.helpers.postgres import missing

if sys.platform != "linux":
    pytest.skip("the importer watches by inotify", allow_module_level=True)
if why := missing():
    pytest.skip(why, allow_module_level=True)

from stages.sandbox import server
from tests.crash.cluster.inside import Fate
from tests.crash.cluster.nodes import Node, nodes
from tests.crash.cluster.rig import Rig, rigged

pytestmark = pytest.mark.slow

MOST = 4
#: Seconds that the server takes to answer, so that requests meet there.
LATENCY = 0.05
#: More companies than one part of a source has, for each of three nodes.
COMPANIES = 180
PATIENCE = 120


class Meter:
    """Counts the requests that a server works on at once. most: of them, ever."""

    def __init__(self) -> None:
        self.most = 0
        self.now = 0
        self._lock = threading.Lock()

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Count at each server that is started from now on."""
        make = server._application

        def application(*arguments: Any) -> web.Application:
            app = make(*arguments)
            app.middlewares.insert(0, self._count)
            return app

        monkeypatch.setattr(server, "_application", application)

    @property
    def _count(self) -> Any:
        @web.middleware
        async def count(
            request: web.Request,
            handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        ) -> web.StreamResponse:
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
            try:
                return await handler(request)
            finally:
                with self._lock:
                    self.now -= 1

        return count


def limited(node: Node) -> None:
    text = node.config.read_text()
    kind = 'kind = "billtobox"\n'
    assert kind in text
    node.config.write_text(text.replace(kind, f"{kind}connections = {MOST}\n"))


def until(rig: Rig, condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, (what, rig.rows("SELECT * FROM cluster_shares"))
        # So that there is always something to be brought.
        if rig.documents - rig.told() < 100:
            rig.grow(100)
        time.sleep(0.05)


def shares(rig: Rig) -> list[int]:
    with suppress(psycopg.errors.UndefinedTable):
        found = rig.rows(
            "SELECT slots FROM cluster_shares JOIN cluster_nodes USING (node)"
            " WHERE heartbeat > now() - interval '15 s' ORDER BY slots"
        )
        return [slots for (slots,) in found]
    return []


def test_three_nodes_of_which_one_hangs_and_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter()
    meter.watch(monkeypatch)
    with (
        rigged(100, companies=COMPANIES, seed=1, latency=LATENCY) as rig,
        nodes(rig, 3, edit=limited) as its,
    ):
        for node in its:
            node.fate = Fate()
            node.start()
        until(rig, lambda: shares(rig) == [1, 1, 2], "all have theirs")
        until(rig, lambda: meter.now >= MOST - 1, "they are at work")
        # In the middle of a request.
        first = its[0]
        first.send(signal.SIGSTOP)
        until(rig, lambda: shares(rig) == [2, 2], "the others have it")
        told = rig.told()
        until(rig, lambda: rig.told() > told + 30, "they go on")
        first.send(signal.SIGCONT)
        until(rig, lambda: not first.is_alive, "it ends")
        first.supervise(Fate, lambda: None)
        time.sleep(0.5)
        first.supervise(Fate, lambda: None)
        until(rig, lambda: shares(rig) == [1, 1, 2], "all have theirs again")
        assert meter.most == MOST, "it bears no more, and that is used"


def test_nodes_that_each_use_all_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that can't fail is none."""
    meter = Meter()
    meter.watch(monkeypatch)
    with (
        rigged(100, companies=COMPANIES, seed=1, latency=LATENCY) as rig,
        nodes(rig, 3, edit=limited) as its,
    ):
        for node in its:
            node.fate = Fate(naive="connections")
            node.start()
        until(rig, lambda: meter.most > MOST, "it has to bear more")
