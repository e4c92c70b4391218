"""With worker processes: whoever dies, nothing is lost or doubled, and nobody is left over."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from itertools import cycle
from pathlib import Path

import msgspec
import pytest

from pipeline import crew
from stages.sandbox.invoices import Invoice

from . import kill
from .hook import Plan
from .kill import Dies, Point
from .world import Host, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc")

#: Crash points that a run of pytest tries: a worker takes half a second to start.
POINTS = 6


def test_a_death_at_any_call_of_any_process_loses_nothing_and_brings_nothing_twice(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = kill.record(host, tmp_path, workers=2)
    points = []
    for index, dies in zip(range(POINTS), cycle(Dies), strict=False):
        numbers = kill.around_delivery(recorded[dies], every=8)
        # Drawn from all parts of a run, by turns before and after, an importer quick and slow.
        number = numbers[(index + 1) * len(numbers) // (POINTS + 1)]
        points.append(Point(number, index % 2 == 0, index % 4 < 2, workers=2, dies=dies))
    trials = list(kill.try_all(host, tmp_path, points))
    with capsys.disabled():
        calls = sum(len(calls) for calls in recorded.values())
        print(f" [{len(trials)} of {4 * calls} crash points]", end="")
    assert sum(trial.reached for trial in trials) > len(trials) // 2
    assert [trial for trial in trials if trial.problems] == []


def test_workers_end_by_themselves_when_the_first_process_is_gone(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 3, workers=2) as world, world.running("run") as process:
        wait_until(lambda: len(world.acknowledged()) == 3)
        assert len(world.workers()) == 2
        process.kill()
        assert world.orphans() == []


def test_a_document_that_kills_its_worker_each_time_is_quarantined_and_the_others_arrive(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 8, workers=2) as world:
        poison = next(one for one in world.mailbox if isinstance(one.content, Invoice))
        assert isinstance(poison.content, Invoice)
        plan = Plan(world.folder, poison=poison.content.number.encode())
        assert world.synqup("catch-up", workers=(plan,)) == 1
        world.take()
        said = world.log()
        [told] = [one for one in world.journal if one["status"] == "ERROR"]
        assert f"died, {crew.DEATHS} times" in told["message"]
        [note] = (world.state / "quarantine").rglob("*.json")
        assert msgspec.json.decode(note.read_bytes())["id"].endswith(told["id"])
        # It died with others in hand at most once, and then with this one alone.
        assert crew.DEATHS <= said.count("a worker process died") <= crew.DEATHS + 1
        got = Counter(one.sha256 for one in world.taken)
        number = poison.content.number
        expected = {one["sha256"] for one in world.manifest if one["number"] != number}
        assert got == Counter(expected)
        assert world.acknowledged() == {one["id"] for one in world.manifest}
        assert world.orphans() == []


def test_a_stop_that_meets_the_death_of_a_worker_drains_what_that_one_had(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 16, workers=2, latency=0.05) as world:
        with world.running("run") as process:
            wait_until(lambda: world.journal)
            process.send(signal.SIGTERM)
            os.kill(world.workers()[0], signal.SIGKILL)
            assert process.wait() == 0, process.said()
            assert world.orphans() == []
        world.take()
        assert "a worker process died" in world.log()
        # Each that had been begun has come to its end; a restart brings what had not.
        assert len(world.taken) == len({one["id"] for one in world.journal})
        assert world.synqup("catch-up") == 0
        world.take()
        assert world.problems() == []
