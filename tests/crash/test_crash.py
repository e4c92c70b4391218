"""A part of the proof with every pytest; the whole of it with `python -m tests.crash`."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest

from tests.helpers.sampling import IN_CI

from . import kill, power
from .plan import Call
from .power import Disk, Loss
from .world import Host

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc"),
]

#: Crash points and power cuts that a run of pytest tries, about.
POINTS = 32 if IN_CI else 60
CUTS = 20 if IN_CI else 36


def test_a_crash_at_any_call_loses_nothing_and_brings_nothing_twice(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = kill.record(host, tmp_path)
    numbers = kill.around_delivery(calls, every=4)
    numbers = numbers[:: max(1, round(len(numbers) / POINTS))]
    # By turns: before and after the call, a quick importer and a slow one, one crash and two.
    points = [
        kill.Point(number, index % 2 == 0, index % 4 < 2, again=index if index % 5 == 4 else 0)
        for index, number in enumerate(numbers, 1)
    ]
    trials = list(kill.try_all(host, tmp_path, points))
    with capsys.disabled():
        print(f" [{len(trials)} of {2 * len(calls)} crash points]", end="")
    assert sum(trial.reached for trial in trials) > len(trials) // 2
    assert [trial for trial in trials if trial.problems] == []


def test_a_power_cut_after_any_call_loses_nothing_and_brings_nothing_twice(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = power.record(host, tmp_path, documents=8)
    losses = power.losses(seeds=1)
    step = max(1, len(losses) * len(recording.calls) // CUTS)
    trials = []
    for index, loss in enumerate(losses):
        cuts = range(len(recording.calls) - 1 - index, 0, -step)
        trials += list(power.try_all(host, recording, cuts, [loss]))
    with capsys.disabled():
        print(f" [{len(trials)} of {len(losses) * len(recording.calls)} power cuts]", end="")
    assert trials
    assert [trial for trial in trials if trial.problems] == []


def test_a_power_cut_soon_after_a_kill_and_a_restart_loses_nothing(
    host: Host, tmp_path: Path
) -> None:
    recording = power.record(host, tmp_path, documents=3, kill=2)
    cuts = power.cuts(recording, every=5)
    trials = list(power.try_all(host, recording, cuts, [Loss(journal=False, importer=False)]))
    assert trials
    assert [trial for trial in trials if trial.problems] == []


def test_a_power_cut_after_a_flush_that_failed_loses_nothing(host: Host, tmp_path: Path) -> None:
    recording = power.record(host, tmp_path, documents=4, unflushed=True)
    cuts = power.cuts(recording, every=12)
    losses = [Loss(journal=False, importer=False), Loss(journal=True, importer=True)]
    trials = list(power.try_all(host, recording, cuts, losses))
    assert trials
    assert [trial for trial in trials if trial.problems] == []


def test_the_checks_notice_what_is_lost_doubled_partial_and_misplaced(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 3) as world:
        assert len([one for one in world.problems() if one.startswith("lost")]) == 3
        assert world.synqup("catch-up") == 0
        first, second, third = world.standing()
        copy = first.with_name("again.xml")
        copy.write_bytes(first.read_bytes())
        second.write_bytes(second.read_bytes()[:-1])
        wrong = third.parents[1] / "coda" / third.name
        wrong.parent.mkdir(exist_ok=True)
        third.rename(wrong)
        world.take()
        said = "\n".join(world.problems())
    assert "2 times" in said
    assert "partial or unknown" in said
    assert "lost" in said
    assert "in a wrong folder" in said
    assert "not acknowledged" not in said


def calls(*steps: tuple[str, str, object]) -> list[Call]:
    return [
        Call(number, name, tuple(paths.split()), float(number), content)
        for number, (name, paths, content) in enumerate(steps, 1)
    ]


def left(steps: list[Call], loss: Loss) -> dict[str, bytes | None]:
    disk = Disk(Path("/r"), loss)
    for call in steps:
        disk.apply(call)
    tree = disk.left(Random(loss.seed))
    return {path: file and file.data for path, file in tree.items() if path != "/r"}


DELIVERY = [
    ("mkdir", "/r/out", None),
    ("fsync", "/r", None),
    ("create", "/r/temporary", b""),
    ("write", "/r/temporary", b"whole"),
    ("fsync", "/r/temporary", None),
    ("rename", "/r/temporary /r/out/a", None),
    ("fsync", "/r/out", None),
]


@pytest.mark.parametrize(
    ("steps", "loose", "journal"),
    [
        (7, {"/r/out": None, "/r/out/a": b"whole"}, {"/r/out": None, "/r/out/a": b"whole"}),
        (6, {"/r/out": None}, {"/r/out": None, "/r/temporary": b"whole"}),
        (4, {"/r/out": None}, {"/r/out": None}),
        (1, {}, {}),
    ],
)
def test_the_model_of_the_disk_keeps_what_was_flushed_and_no_more(
    steps: int, loose: dict[str, bytes | None], journal: dict[str, bytes | None]
) -> None:
    done = calls(*DELIVERY[:steps])
    assert left(done, Loss(journal=False, importer=False)) == loose
    assert left(done, Loss(journal=True, importer=False)) == journal


def test_the_model_leaves_an_unflushed_file_empty_under_a_flushed_name() -> None:
    steps = [step for step in DELIVERY if step[:2] != ("fsync", "/r/temporary")]
    found = left(calls(*steps), Loss(journal=True, importer=False))
    assert found == {"/r/out": None, "/r/out/a": b""}


def test_what_an_importer_took_is_neither_there_nor_in_the_temporary_folder() -> None:
    disk = Disk(Path("/r"), Loss(journal=True, importer=True))
    for call in calls(*DELIVERY[:6]):
        disk.apply(call)
    assert disk.taken == [b"whole"]
    assert disk.left(Random(1)) == {"/r": None, "/r/out": None}
