"""Faults of the disk: what they concern waits, the rest goes on, and once repaired all flows."""

from __future__ import annotations

import errno
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.crash.plan import Fault, Plan
from tests.crash.world import Host, World, wait_until
from tests.helpers.volumes import fill, mounted, volume
from tests.helpers.worlds import waiting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc")

#: Breaks a folder and repairs it; gives the plan for the process that meets the fault, if any.
Trouble = Callable[[World, Path], AbstractContextManager[Plan | None]]


# Troubles of one destination folder.


@contextmanager
def replaced_by_a_file(world: World, folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    yield
    folder.unlink()


@contextmanager
def read_only(world: World, folder: Path) -> Iterator[None]:
    with _mode(folder, 0o555):
        yield


@contextmanager
def forbidden(world: World, folder: Path) -> Iterator[None]:
    with _mode(folder, 0o000):
        yield


@contextmanager
def parent_read_only(world: World, folder: Path) -> Iterator[None]:
    with _mode(folder.parent, 0o555):
        yield


@contextmanager
def _mode(folder: Path, mode: int) -> Iterator[None]:
    folder.mkdir(parents=True)
    folder.chmod(mode)
    yield
    folder.chmod(0o755)


@contextmanager
def volume_full(world: World, folder: Path) -> Iterator[None]:
    with volume(folder):
        filler = fill(folder)
        yield
        filler.unlink()
        # The volume is there until the test has seen what arrived on it.
        wait_until(lambda: world.acknowledged() == {one["id"] for one in world.manifest})
        world.take_copies()


@contextmanager
def locked(world: World, folder: Path) -> Iterator[Plan]:
    """As on Windows, where another program has the folder open: the rename is denied."""
    flag = world.folder / "locked"
    flag.touch()
    calls = ("renameat2", "rename", "replace", "link", "linkat")
    yield Plan(
        world.folder,
        faults=tuple(Fault(call, str(folder), errno.EACCES, flag) for call in calls),
    )
    flag.unlink()


@contextmanager
def folder_refused(world: World, folder: Path) -> Iterator[Plan]:
    flag = world.folder / "failing"
    flag.touch()
    yield Plan(world.folder, faults=(Fault("mkdir", str(folder), errno.EIO, flag),))
    flag.unlink()


TROUBLES: list[Trouble] = [
    *(replaced_by_a_file, read_only, forbidden, parent_read_only),
    *(volume_full, locked, folder_refused),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: one.__name__)
def test_what_a_broken_folder_concerns_waits_and_flows_once_it_is_repaired(
    host: Host, tmp_path: Path, trouble: Trouble
) -> None:
    with (
        host.world(tmp_path, 24, companies=2) as world,
        ExitStack() as broken,
        ExitStack() as running,
    ):
        company = world.mailbox.companies[0]
        everything = {one["id"] for one in world.manifest}
        victims = {
            one["id"]
            for one in world.manifest
            if (one["company"], one["kind"]) == (company.identifier, "purchase")
        }
        if trouble is parent_read_only:
            victims = {one["id"] for one in world.manifest if one["company"] == company.identifier}
        plan = broken.enter_context(trouble(world, world.folder_of(0, "purchase")))
        process = running.enter_context(world.running("run", plan=plan, mortal=True))
        wait_until(lambda: world.acknowledged() >= everything - victims)
        wait_until(lambda: len(waiting(world)) == len(victims))
        assert world.acknowledged() == everything - victims
        for one in waiting(world):
            assert "the system says" in one["reason"]
            assert str(world.folder_of(0, "purchase").parent) in one["reason"]
        assert "Traceback" not in process.said()
        broken.close()
        wait_until(lambda: world.acknowledged() == everything)
        assert process.alive
        running.close()
        world.take()
        assert world.problems() == []


def _flows_after(host: Host, tmp_path: Path, make_plan: Callable[[Path], Plan]) -> World:
    """A service that nothing gets through, until the flag `fault` is gone."""
    with host.world(tmp_path, 12) as world:
        flag = world.folder / "fault"
        flag.touch()
        with world.running("run", plan=make_plan(flag)) as process:
            wait_until(lambda: "fault" in process.said() or "system says" in process.said())
            time.sleep(1)
            assert process.alive, process.said()
            assert not world.standing()
            flag.unlink()
            wait_until(lambda: len(world.acknowledged()) == 12)
        world.take()
        assert world.problems() == []
        return world


@pytest.mark.parametrize("calls", [("create",), ("write",), ("fsync", "syncfs")])
def test_a_full_disk_under_the_temporary_folder_is_waited_for(
    host: Host, tmp_path: Path, calls: tuple[str, ...]
) -> None:
    _flows_after(
        host,
        tmp_path,
        lambda flag: Plan(
            tmp_path,
            faults=tuple(Fault(one, "staging", errno.ENOSPC, flag) for one in calls),
        ),
    )


def test_a_ledger_that_finds_no_room_is_waited_for(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 12) as world:
        flag = world.folder / "full"
        plan = Plan(world.folder, faults=(Fault("commit", "ledger", errno.ENOSPC, flag),))
        with world.running("run", plan=plan) as process:
            wait_until(lambda: len(world.acknowledged()) == 12)
            flag.touch()
            world.grow(12)
            wait_until(lambda: "ledger" in process.said())
            time.sleep(1)
            assert process.alive, process.said()
            flag.unlink()
            wait_until(lambda: len(world.acknowledged()) == 24)
        world.take()
        assert world.problems() == []


def test_a_full_volume_of_the_state_folder_is_waited_for(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 8) as world, volume(world.state, "8m"):
        with world.running("run") as process:
            wait_until(lambda: len(world.acknowledged()) == 8)
            filler = fill(world.state)
            world.grow(40)
            wait_until(lambda: "ledger can't be written" in process.said())
            time.sleep(1)
            assert process.alive, process.said()
            filler.unlink()
            wait_until(lambda: len(world.acknowledged()) == 48)
        world.take()
        assert world.problems() == []


def test_a_folder_removed_while_it_is_in_use_is_made_again(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 12) as world, world.running("run") as process:
        wait_until(lambda: len(world.acknowledged()) == 12)
        world.take()
        shutil.rmtree(world.out)
        world.grow(12)
        wait_until(lambda: len(world.acknowledged()) == 24)
        world.take()
        assert process.alive
        assert world.problems() == []


def test_a_volume_that_is_gone_and_back_gets_every_document(host: Host, tmp_path: Path) -> None:
    """Under the place where it is mounted nothing may be left: nobody would ever see it."""
    kept = tmp_path / "kept"
    with volume(kept, "1m"), host.world(tmp_path, 12) as world:
        with world.running("run") as process:
            with mounted(world.out, "--bind", str(kept)):
                wait_until(lambda: len(world.acknowledged()) == 12)
            world.grow(12)
            wait_until(lambda: process.said().count("document waits") >= 12)
            hidden = world.standing()
            with mounted(world.out, "--bind", str(kept)):
                wait_until(lambda: len(world.acknowledged()) == 24)
                world.take_copies()
        assert hidden == []
        assert world.problems() == []


def test_a_name_that_another_program_has_taken_is_left_alone(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path / "names", 6) as world:
        assert world.synqup("catch-up") == 0
        names = [path.relative_to(world.out) for path in world.standing()]
    with host.world(tmp_path / "world", 6) as world:
        for name in names:
            path = world.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("somebody else's")
        assert world.synqup("catch-up") == 0
        for name in names:
            assert (world.out / name).read_text() == "somebody else's"
            (world.out / name).unlink()
        world.take()
        assert world.problems() == []


def test_names_that_differ_in_case_alone_are_never_given(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 12) as world:
        world.edit("[delivery]", '[delivery]\ninvoice_name = "same"\nstatement_name = "same"')
        with world.running("run") as process:
            wait_until(lambda: len(world.acknowledged()) == 12)
            world.edit('"same"', '"SAME"')
            wait_until(lambda: "configuration applied" in process.said())
            world.grow(12)
            wait_until(lambda: len(world.acknowledged()) == 24)
        names = [str(path).casefold() for path in world.standing()]
        assert any("SAME" in path.name for path in world.standing())
        assert len(set(names)) == 24
        world.take()
        assert world.problems() == []


def test_a_path_that_is_too_long_waits_until_the_configuration_is_corrected(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 12) as world:
        long = f"out/{'x' * 300}/achats"
        world.edit("out/[enterprise_name]_[enterprise_identifier]/achats", long)
        purchases = {one["id"] for one in world.manifest if one["kind"] == "purchase"}
        with world.running("run") as process:
            wait_until(lambda: len(world.acknowledged()) == 12 - len(purchases))
            wait_until(lambda: len(waiting(world)) == len(purchases))
            assert "Traceback" not in process.said()
            world.edit(long, "out/[enterprise_name]_[enterprise_identifier]/achats")
            wait_until(lambda: len(world.acknowledged()) == 12)
        world.take()
        assert world.problems() == []


def test_a_lost_state_folder_brings_nothing_twice_and_is_told(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 12) as world:
        assert world.synqup("catch-up") == 0
        world.take()
        shutil.rmtree(world.state)
        assert world.synqup("catch-up") == 0
        world.take()
        assert world.problems() == []
        assert "ledger" in world.said() + world.log()


def garbage_all(ledger: Path) -> None:
    ledger.write_bytes(b"no ledger at all\n" * 300)


def garbage_within(ledger: Path) -> None:
    data = bytearray(ledger.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    ledger.write_bytes(data)


def truncated(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes()[:5000])


@pytest.mark.parametrize("harm", [garbage_all, garbage_within, truncated])
def test_a_corrupt_ledger_is_kept_aside_and_explained(
    host: Host, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    with host.world(tmp_path, 12) as world:
        assert world.synqup("catch-up") == 0
        ledger = world.state / "ledger.sqlite"
        harm(ledger)
        harmed = ledger.read_bytes()
        world.grow(6)
        assert world.synqup("catch-up") == 0, world.said()
        world.take()
        assert world.problems() == []
        assert "ledger" in world.said() + world.log()
        assert any(path.read_bytes() == harmed for path in world.state.glob("ledger*"))
