"""Folders that are mounted onto themselves, as a unit of systemd has them: nothing lost or doubled.

No rename works between such a folder and the state folder, although both are of one volume.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.crash.plan import Plan
from tests.crash.processes import KILLED
from tests.crash.world import Host
from tests.helpers.volumes import mounted
from tests.helpers.worlds import RENAMES, temporary

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc"),
]


def test_what_a_crash_left_staged_arrives_when_a_unit_confines_the_next_run(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 8) as world:
        plan = Plan(world.folder, kill=1, among=RENAMES, importer=world.out)
        assert world.synqup("catch-up", plan=plan) == KILLED
        assert temporary(world)
        with mounted(world.out, "--bind", str(world.out)):
            # What is staged is fetched again by the first poll or, at the latest, by the next one.
            assert world.synqup("catch-up") in (0, 1), world.said()
            assert world.synqup("catch-up") == 0, world.said()
            world.grow(4)
            assert world.synqup("catch-up") == 0, world.said()
            assert list(world.out.rglob(".synqup"))
        # Without the unit its mount is missing, and nothing was hidden by it.
        world.grow(4)
        assert world.synqup("catch-up") == 0, world.said()
        world.take()
        assert world.problems() == []
