"""A dry run touches nothing, also after a crash and beside a service."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.crash.plan import Plan
from tests.crash.processes import KILLED
from tests.crash.world import Host, wait_until
from tests.helpers.worlds import RENAMES, in_state, temporary

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc")


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_dry_run_after_a_crash_touches_nothing(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 8) as world:
        plan = Plan(world.folder, kill=2, among=RENAMES)
        assert world.synqup("catch-up", plan=plan) == KILLED
        assert temporary(world)
        delivered = in_state(world, "delivered")
        before = tree(world.state), tree(world.out)
        told = world.acknowledged()
        assert world.synqup("catch-up", "--dry-run") == 0, world.said()
        said = world.said()
        assert (tree(world.state), tree(world.out)) == before
        assert world.acknowledged() == told
        found = re.search(r"(\d+) documents would be brought", said)
        ready = re.search(r"(\d+) more lie ready", said)
        assert found, said
        assert ready, said
        assert int(found[1]) + int(ready[1]) == 8 - delivered
        assert world.synqup("catch-up") == 0, world.said()
        assert "would" not in world.said()
        world.take()
        assert world.problems() == []


def test_a_dry_run_goes_beside_a_service(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 8) as world, world.running("run"):
        wait_until(lambda: len(world.acknowledged()) == 8)
        assert world.synqup("catch-up", "--dry-run") == 0, world.said()
        assert "0 documents would be brought" in world.said()
