"""A kill at each call of a redelivery: the document comes exactly once more, never twice, or never

where the command died before it was recorded.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from .kill import around_delivery, load
from .plan import Plan
from .processes import KILLED
from .world import Host, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc"),
]

DOCUMENTS = 3
#: Beside all calls around a delivery, each n-th; and how many of all these are tried.
EVERY = 40
TRIED = 8


def begin(world: World, *, kept: bool) -> str:
    """Bring the documents, and take them; the id of one."""
    if kept:
        world.edit('poll_interval = "1s"', 'poll_interval = "1s"\nkeep_delivered = "9d"')
    assert world.synqup("catch-up") == 0, world.said()
    assert world.take() == DOCUMENTS
    return str(world.manifest[0]["id"])


def orders(world: World) -> tuple[int, int]:
    """How many orders the ledger holds, and how many of them are done."""
    with closing(sqlite3.connect(world.state / "ledger.sqlite")) as connection:
        row = connection.execute("SELECT count(*), coalesce(sum(done), 0) FROM orders").fetchone()
    return int(row[0]), int(row[1])


def check(world: World, recorded: int) -> list[str]:
    """What is wrong after so many orders of the first document."""
    got = Counter(one.sha256 for one in world.taken)
    expected = Counter({one["sha256"]: 1 for one in world.manifest})
    expected[world.manifest[0]["sha256"]] += recorded
    found = [] if got == expected else [f"{got} where {expected} was to come"]
    if orders(world) != (recorded, recorded):
        found.append(f"orders {orders(world)}")
    return found


@pytest.mark.parametrize(
    ("kept", "importer", "shift"),
    [(True, True, 0), (True, True, 2), (False, True, 1), (True, False, 3)],
    ids=["from a copy", "from a copy, elsewhere", "from the platform", "a slow importer"],
)
def test_a_kill_in_a_redelivery_brings_it_once_more(
    host: Host, tmp_path: Path, kept: bool, importer: bool, shift: int
) -> None:
    with host.world(tmp_path / "record", DOCUMENTS) as world:
        one = begin(world, kept=kept)
        plan = Plan(world.folder, record=tmp_path / "calls")
        assert world.synqup("redeliver", one, plan=plan) == 0, world.said()
        world.take()
        assert not check(world, 1)
    numbers = around_delivery(list(load(tmp_path / "calls")), EVERY)
    numbers = numbers[shift :: max(len(numbers) // TRIED, 1)]
    died = unrecorded = 0
    for number in numbers:
        for after in (False, True):
            with host.world(tmp_path / f"{number}-{after}", DOCUMENTS) as world:
                one = begin(world, kept=kept)
                taking = world.out if importer else None
                plan = Plan(world.folder, kill=number, after=after, importer=taking)
                if importer:
                    with world.importer():
                        status = world.synqup("redeliver", one, plan=plan)
                else:
                    status = world.synqup("redeliver", one, plan=plan)
                assert status in (0, KILLED), world.said()
                died += status == KILLED
                recorded, _ = orders(world)
                unrecorded += not recorded
                assert recorded or status == KILLED
                assert world.synqup("catch-up") == 0, world.said()
                world.take()
                assert not check(world, recorded), (number, after)
                # To ask again is to have it again.
                assert world.synqup("redeliver", one) == 0, world.said()
                world.take()
                assert not check(world, recorded + 1), (number, after)
    assert died > TRIED // 2
    assert unrecorded < died
