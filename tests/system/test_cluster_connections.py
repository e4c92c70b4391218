"""What a source bears is never exceeded by all nodes together, as its own server counts it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
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
#: The name of the server for the first node, by which its requests are known.
OWN = "localhost"
#: Seconds that the server takes to answer, so that requests meet there.
LATENCY = 0.2
#: More companies than one part of a source has, for each of three nodes.
COMPANIES = 180
PATIENCE = 120


class Meter:
    """Counts the requests that a server works on at once. most: of them, ever.

    own: those of the node that asks under the name OWN. strike: called in the middle of a request
    when there are as many of those as it says.
    """

    def __init__(self) -> None:
        self.most = 0
        self.now = 0
        self.own = 0
        self.strike: tuple[int, Callable[[], object]] | None = None

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Count at each server that is started from now on."""
        make = server._application

        def application(*arguments: Any) -> web.Application:
            app = make(*arguments)
            app.middlewares.insert(0, self._count())
            return app

        monkeypatch.setattr(server, "_application", application)

    def _count(self) -> Any:
        @web.middleware
        async def count(
            request: web.Request,
            handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        ) -> web.StreamResponse:
            is_own = request.host.startswith(OWN)
            self.now += 1
            self.own += is_own
            self.most = max(self.most, self.now)
            if self.strike is not None and self.own == self.strike[0]:
                (_, strike), self.strike = self.strike, None
                strike()
            try:
                return await handler(request)
            finally:
                self.now -= 1
                self.own -= is_own

        return count


def limited(node: Node) -> None:
    text = node.config.read_text()
    kind = 'kind = "billtobox"\n'
    assert kind in text
    text = text.replace(kind, f"{kind}connections = {MOST}\n")
    if node.name == "n1":
        text = text.replace("http://127.0.0.1:", f"http://{OWN}:")
    node.config.write_text(text)


def until(rig: Rig, condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, (what, rig.rows("SELECT * FROM cluster_shares"))
        # So that there is always something to be brought.
        if rig.documents - rig.told() < 100:
            rig.grow(100)
        time.sleep(0.05)


def shares(rig: Rig) -> dict[str, int]:
    """What each node that is alive may use."""
    with suppress(psycopg.errors.UndefinedTable):
        return dict(
            rig.rows(
                "SELECT node, slots FROM cluster_shares JOIN cluster_nodes USING (node)"
                " WHERE heartbeat > now() - interval '15 s'"
            )
        )
    return {}


@contextmanager
def metered(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Meter, Rig, list[Node]]]:
    """Three nodes that are not started yet, and what counts the requests at their source."""
    meter = Meter()
    meter.watch(monkeypatch)
    with (
        rigged(100, companies=COMPANIES, seed=1, latency=LATENCY) as rig,
        nodes(rig, 3, edit=limited) as its,
    ):
        yield meter, rig, its


def test_three_nodes_of_which_one_hangs_and_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    with metered(monkeypatch) as (meter, rig, its):
        for node in its:
            node.start()
        until(rig, lambda: sorted(shares(rig).values()) == [1, 1, 2], "all have theirs")
        # It is stopped when all that it may use is in use, so that it has nothing on its way.
        first = its[0]
        meter.strike = (shares(rig)["n1"], lambda: first.send(signal.SIGSTOP))
        until(rig, lambda: shares(rig) == {"n2": 2, "n3": 2}, "the others have it")
        assert first.is_stopped
        told = rig.told()
        until(rig, lambda: rig.told() > told + 30, "they go on")
        until(rig, lambda: meter.now == MOST, "they are at work")
        first.send(signal.SIGCONT)
        until(rig, lambda: not first.is_alive, "it ends")
        first.supervise(Fate, lambda: None)
        time.sleep(0.5)
        first.supervise(Fate, lambda: None)
        until(rig, lambda: sorted(shares(rig).values()) == [1, 1, 2], "all have theirs again")
        assert meter.most == MOST, "it bears no more, and that is used"


def test_nodes_that_each_use_all_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that can't fail is none."""
    with metered(monkeypatch) as (meter, rig, its):
        for node in its:
            node.fate = Fate(naive="connections")
            node.start()
        until(rig, lambda: meter.most > MOST, "it has to bear more")
