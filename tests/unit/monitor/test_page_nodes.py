"""The page of one node tells of all nodes, and counts what all of them deliver."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.alerts.settings import AlertSettings
from pipeline.health.model import Health
from pipeline.ledger.overview import Deliveries
from pipeline.monitor.page.languages import languages
from pipeline.monitor.page.parts import Parts
from pipeline.monitor.page.rendering import renderers
from pipeline.monitor.page.shared_tally import LATE, SharedTally
from pipeline.nodes import (
    ClusterView,
    DatabaseView,
    InHand,
    NodeReport,
    NodeView,
    Overdue,
    Reason,
)
from tests.helpers.page_world import NOW, World, overviewer

pytestmark = pytest.mark.anyio

SAY = languages()["en"].say
VIEW = ClusterView(
    NOW,
    DatabaseView(0.001, "on"),
    (
        NodeView("n1", "srv1", "1.4", 1.0, True, NOW - 900),
        NodeView(
            "n2",
            "srv2",
            "1.4",
            2.0,
            True,
            NOW - 900,
            in_hand=(
                InHand("box", "0", NOW, "n3"),
                InHand("box", "1", NOW),
                InHand("box", "2", NOW),
            ),
            differs=("company A is not the same on node n2 and node n1",),
            report=NodeReport(
                in_flight={"box": 5},
                folders={"/out/<1>": Reason(NOW, "it is full", "Make room")},
            ),
        ),
        NodeView("n3", "srv3", "1.3", 60.0, False, NOW - 900),
    ),
    overdue=(Overdue("sftp", 1, 4, NOW - 900),),
    staged_count=2,
)


class Cluster(World):
    """What the page asks, on one of several nodes."""

    view: ClusterView | None = VIEW

    async def current(self) -> Health:
        return structs.replace(await super().current(), cluster=self.view, node="n1")


def parts_of(world: World, tally: SharedTally | None = None) -> Parts:
    return Parts(
        world, world, tally or SharedTally(), world, world.ledger, AlertSettings, cluster=True
    )


async def test_nodes_stand_on_the_page_those_in_trouble_first(tmp_path: Path) -> None:
    world = Cluster(tmp_path)
    async with overviewer(world, parts=parts_of(world)) as one:
        it, _ = await one.make()
    assert [(row.name, row.level, row.is_own) for row in it.nodes] == [
        ("n3", "bad", False),
        ("n2", "warn", False),
        ("n1", "ok", True),
    ]
    assert [SAY(line) for line in it.nodes[1].work] == [
        "has taken over a part of box from n3",
        "reads 2 parts of box",
    ]
    whats = [SAY(one.what) for one in it.items]
    assert whats == ["Node n3 is silent", "sftp is not read in time"]
    # What another node reads, and has under way, is read and under way.
    rows = {row.name: row for row in it.sources}
    assert (SAY(rows["box"].state), rows["box"].in_flight) == ("being read", 5)
    assert it.flow.in_flight == 5
    # The companies of a source that is overdue are not well.
    assert {SAY(row.state) for row in it.companies} == {"overdue", "well"}
    text = renderers()["en"].sections(it, acts=False)["nodes"]
    assert "this page" in text
    assert "Company A is not the same on node n2 and node n1." in text
    assert "/out/&lt;1&gt;: it is full" in text
    assert "2 documents have lain ready" in text
    for code in ("nl", "fr"):
        assert "have lain ready" not in renderers()[code].sections(it, acts=True)["nodes"]


@pytest.mark.parametrize(("seconds", "state"), [(5.0, "well"), (90.0, "asks to wait")])
async def test_a_source_that_has_asked_all_nodes_to_wait(
    tmp_path: Path, seconds: float, state: str
) -> None:
    world = Cluster(tmp_path)
    world.view = structs.replace(VIEW, pauses={"sftp": seconds})
    async with overviewer(world, parts=parts_of(world)) as one:
        it, _ = await one.make()
    assert {row.name: SAY(row.state) for row in it.sources}["sftp"] == state


async def test_before_the_nodes_are_seen_and_without_a_cluster(tmp_path: Path) -> None:
    world = Cluster(tmp_path)
    world.view = None
    async with overviewer(world, parts=parts_of(world)) as one:
        it, _ = await one.make()
    assert "The nodes are not seen yet" in renderers()["en"].sections(it, acts=False)["nodes"]
    alone = structs.replace(it, cluster=False)
    assert not renderers()["en"].sections(alone, acts=False)["nodes"].strip()


async def test_what_others_deliver_is_counted_from_the_ledger(tmp_path: Path) -> None:
    world = Cluster(tmp_path)
    now = time.time()
    world.document("before", "BE000", "delivered", at=now - 2 * LATE)
    tally = SharedTally()
    async with overviewer(world, parts=parts_of(world, tally)) as one:
        await one.make()
        assert tally.of("BE000")[2] == {"sales": 1}
        # One whose clock is behind, one just now, and one whose clock is ahead.
        world.document("late", "BE000", "delivered", at=now - LATE / 2)
        world.document("now", "BE000", "delivered", at=now)
        world.document("ahead", "BE001", "delivered", at=now + 5)
        for _ in range(2):
            await one._read_deliveries()
            assert tally.of("BE000")[2] == {"sales": 3}
            assert tally.of("BE001")[2] == {"sales": 1}
            assert tally.rate() == 2
        assert tally.of("BE000")[0] == pytest.approx(now)


def test_what_is_settled_is_counted_once_and_for_all() -> None:
    now = time.time()
    tally = SharedTally(lambda: now)
    assert tally.settled == now - LATE
    one = [Deliveries("BE0", "sales", 0, 2, now)]
    tally.count([], now - LATE, one)
    assert (tally.of("BE0")[1:], tally.rate()) == ((2, {"sales": 2}), 2)
    tally.count([], now - LATE, one)
    assert tally.of("BE0")[1:] == (2, {"sales": 2})
    assert sum(sum(hour.values()) for hour in tally.hours()[0]) == 2
    tally.count(one, now, [])
    assert (tally.of("BE0")[1:], tally.rate(), tally.settled) == ((2, {"sales": 2}), 0, now)
    assert sum(sum(hour.values()) for hour in tally.hours()[0]) == 2
