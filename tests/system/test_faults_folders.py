"""Folders that can't be flushed, that hang, that others have a hand in: nothing lost or doubled."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.plan import HANGS, VANISHES, Fault, Plan
from tests.crash.processes import KILLED
from tests.crash.world import Host, World, wait_until
from tests.helpers.volumes import volume
from tests.helpers.worlds import RENAMES, in_state, temporary, victims_of, waiting

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc"),
]

FLUSHES = ("fsync", "syncfs")
# Flushes.


def test_what_is_not_known_to_be_durable_is_not_told_until_it_is(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 30, companies=2) as world:
        flag = world.folder / "fault"
        flag.touch()
        world.make_folders()
        faults = tuple(Fault(call, str(world.out), errno.EIO, flag) for call in FLUSHES)
        plan = Plan(world.folder, faults=faults)
        assert world.synqup("catch-up", plan=plan) == 1
        assert "can't make that durable" in world.log()
        assert "Traceback" not in world.log()
        assert world.acknowledged() == set()
        # They are visible, and an importer has taken them: they must not come again.
        assert world.take() == 30
        assert in_state(world, "staged") == 30
        flag.unlink()
        assert world.synqup("catch-up", plan=plan) == 0, world.said()
        assert world.problems() == []


def test_a_service_settles_it_by_itself_once_the_folder_can_be_flushed(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 24, companies=2) as world:
        flag = world.folder / "fault"
        flag.touch()
        world.make_folders()
        company = world.folder_of(0, "purchase").parent
        # The volume can't be flushed as a whole, for the sake of one company's folders.
        faults = (
            Fault("syncfs", str(world.out), errno.EIO, flag),
            Fault("fsync", str(company), errno.EIO, flag),
        )
        plan = Plan(world.folder, faults=faults)
        victims = victims_of(world)
        everything = {one["id"] for one in world.manifest}
        with world.running("run", plan=plan) as process:
            wait_until(lambda: world.acknowledged() >= everything - victims)
            wait_until(lambda: in_state(world, "staged") == len(victims))
            assert world.acknowledged() == everything - victims
            world.take()
            flag.unlink()
            wait_until(lambda: world.acknowledged() == everything)
            assert process.alive
        world.take()
        assert world.problems() == []


@pytest.mark.parametrize("part", ["staging", "volumes", "quarantine"])
def test_a_flush_that_fails_anywhere_in_the_state_folder_ends_nothing(
    host: Host, tmp_path: Path, part: str
) -> None:
    with host.world(tmp_path, 8) as world:
        flag = world.folder / "fault"
        plan = Plan(
            world.folder,
            faults=tuple(Fault(call, f"state/{part}", errno.EIO, flag) for call in FLUSHES),
        )
        with world.running("run", plan=plan) as process:
            wait_until(lambda: len(world.acknowledged()) == 8)
            flag.touch()
            world.grow(8)
            if part == "staging":
                wait_until(lambda: len(waiting(world)) == 8)
            flag.unlink()
            wait_until(lambda: len(world.acknowledged()) == 16)
            assert process.alive
            assert "Traceback" not in process.said()
        world.take()
        assert world.problems() == []


# Somebody else's hand in the temporary folder.


def test_a_temporary_file_that_vanishes_is_fetched_again(host: Host, tmp_path: Path) -> None:
    """As when an antivirus or a cleaner removes it between the writing and the renaming."""
    with host.world(tmp_path, 24, companies=2) as world:
        flag = world.folder / "fault"
        flag.touch()
        company = str(world.folder_of(0, "purchase").parent)
        faults = (Fault("renameat2", company, VANISHES, flag),)
        plan = Plan(world.folder, faults=faults)
        assert world.synqup("catch-up", plan=plan) == 1
        assert world.acknowledged().isdisjoint(victims_of(world))
        flag.unlink()
        assert world.synqup("catch-up", plan=plan) == 0, world.said()
        world.take()
        assert world.problems() == []


def test_a_second_name_of_a_temporary_file_loses_nothing_after_a_crash(
    host: Host, tmp_path: Path
) -> None:
    """As a backup or a tool that saves room gives it one."""
    with host.world(tmp_path, 8) as world:
        plan = Plan(world.folder, kill=1, among=RENAMES, importer=world.out)
        while world.synqup("catch-up", plan=plan) != KILLED or not temporary(world):
            pytest.fail(world.said())
        backup = world.folder / "backup"
        backup.mkdir()
        for path in temporary(world):
            os.link(path, backup / path.name)
        assert world.synqup("catch-up") == 0, world.said()
        world.take()
        assert world.problems() == []


def test_after_a_crash_what_is_missing_from_a_folder_of_others_is_fetched_again(
    host: Host, tmp_path: Path
) -> None:
    """Who may write to a temporary folder may have removed a file from it."""
    with host.world(tmp_path, 8) as world, volume(world.out, "1m"):
        plan = Plan(world.folder, kill=1, among=RENAMES)
        assert world.synqup("catch-up", plan=plan) == KILLED
        places = [path for path in world.out.rglob(".synqup") if list(path.iterdir())]
        assert places
        for place in places:
            for path in place.iterdir():
                path.unlink()
            place.chmod(0o777)
        assert world.synqup("catch-up") in (0, 1), world.said()
        assert world.synqup("catch-up") == 0, world.said()
        world.take_copies()
        assert world.problems() == []


@contextmanager
def foreign(place: Path, how: str) -> Iterator[None]:
    victim = place.parent / "elsewhere"
    victim.mkdir()
    if how == "link":
        place.symlink_to(victim)
    elif how == "file":
        place.write_text("in the way")
    else:
        place.mkdir(0o777)
        os.chown(place, 65534, 65534)
    yield
    assert list(victim.iterdir()) == []
    assert how != "owner" or list(place.iterdir()) == []
    victim.rmdir()
    place.rmdir() if how == "owner" else place.unlink()


@pytest.mark.parametrize("how", ["link", "file", "owner"])
@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="only root can make a folder of another account"
)
def test_a_temporary_folder_that_is_not_ours_is_refused_in_words(
    host: Host, tmp_path: Path, how: str
) -> None:
    with host.world(tmp_path, 16, companies=2) as world:
        company = world.folder_of(0, "purchase").parent
        with volume(company, "1m"):
            with foreign(company / ".synqup", how):
                assert world.synqup("catch-up") == 1
                victims = victims_of(world)
                assert world.acknowledged() == {one["id"] for one in world.manifest} - victims
                reasons = {one["reason"] for one in waiting(world)}
                assert all("remove it" in one and ".synqup" in one for one in reasons)
            assert world.synqup("catch-up") == 0, world.said()
            world.take_copies()
        assert world.problems() == []


# Folders that hang.


def hanging(world: World, calls: tuple[str, ...], part: str) -> tuple[Plan, Path]:
    flag = world.folder / "hang"
    flag.touch()
    faults = tuple(Fault(call, part, HANGS, flag) for call in calls)
    return Plan(world.folder, faults=faults, patience=1.0), flag


@pytest.mark.slow
@pytest.mark.parametrize(
    "calls", [RENAMES, FLUSHES, ("create", "mkdir")], ids=["rename", "flush", "make"]
)
def test_a_folder_that_hangs_holds_up_its_own_documents_alone(
    host: Host, tmp_path: Path, calls: tuple[str, ...]
) -> None:
    with host.world(tmp_path, 60, companies=4) as world:
        if calls is FLUSHES:
            world.make_folders()
        company = str(world.folder_of(0, "purchase").parent)
        plan, flag = hanging(world, calls, company)
        victims = victims_of(world)
        everything = {one["id"] for one in world.manifest}
        with world.running("run", plan=plan) as process:
            wait_until(lambda: world.acknowledged() >= everything - victims)
            assert world.acknowledged() == everything - victims
            # A later document is not held up either.
            world.grow(12)
            more = {one["id"] for one in world.manifest} - victims_of(world)
            wait_until(lambda: world.acknowledged() >= more)
            assert "a folder hangs" in world.log()
            assert "Traceback" not in process.said()
            if calls is FLUSHES:
                # What is visible is looked at by a later poll, while the folder hangs.
                wait_until(lambda: "not been recovered" in world.log())
            flag.unlink()
            everything = {one["id"] for one in world.manifest}
            wait_until(lambda: world.acknowledged() == everything)
            assert process.alive
        world.take()
        assert world.problems() == []


@pytest.mark.slow
@pytest.mark.parametrize("calls", [RENAMES, FLUSHES], ids=["rename", "flush"])
def test_a_catch_up_and_a_stop_go_on_while_a_folder_hangs(
    host: Host, tmp_path: Path, calls: tuple[str, ...]
) -> None:
    with host.world(tmp_path, 24, companies=2) as world:
        company = str(world.folder_of(0, "purchase").parent)
        plan, flag = hanging(world, calls, company)
        everything = {one["id"] for one in world.manifest}
        assert world.synqup("catch-up", plan=plan) == 1, world.said()
        assert world.acknowledged() == everything - victims_of(world)
        # The next start settles what it can, and a stop ends it all the same.
        with world.running("run", plan=plan) as process:
            wait_until(lambda: "a folder hangs" in process.said())
            process.send(signal.SIGTERM)
            assert process.wait() == 0, process.said()
        flag.unlink()
        assert world.synqup("catch-up") == 0, world.said()
        world.take()
        assert world.problems() == []


@contextmanager
def share(folder: Path, real: Path) -> Iterator[Callable[[signal.Signals], None]]:
    """A real share at a folder; gives what stops its server, which hangs every call, or goes on."""
    if shutil.which("bindfs") is None:
        pytest.skip("no share can be made here: bindfs is not installed")
    folder.mkdir(parents=True)
    real.mkdir()
    server = subprocess.Popen(["bindfs", "-f", str(real), str(folder)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: server.poll() is not None or os.path.ismount(folder))
        if server.poll() is not None:
            pytest.skip("no share can be made here: bindfs may not mount")
        yield server.send_signal
    finally:
        server.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
        server.wait()


@pytest.mark.slow
def test_a_share_whose_server_stops_answering_holds_up_nobody_else(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 40, companies=3) as world:
        company = world.folder_of(0, "purchase").parent
        everything = {one["id"] for one in world.manifest}
        with share(company, tmp_path / "real") as tell:
            tell(signal.SIGSTOP)
            plan = Plan(world.folder, patience=1.0)
            assert world.synqup("catch-up", plan=plan) == 1, world.said()
            assert world.acknowledged() == everything - victims_of(world)
            with world.running("run", plan=plan) as process:
                wait_until(lambda: "a folder hangs" in process.said())
                process.send(signal.SIGTERM)
                assert process.wait() == 0, process.said()
            tell(signal.SIGCONT)
            assert world.synqup("catch-up", plan=plan) == 0, world.said()
            world.take_copies()
        assert world.problems() == []


def test_a_kill_while_a_folder_hangs_loses_and_doubles_nothing(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 24, companies=2) as world:
        company = str(world.folder_of(0, "purchase").parent)
        plan, flag = hanging(world, RENAMES, company)
        everything = {one["id"] for one in world.manifest}
        with world.running("run", plan=plan) as process:
            wait_until(lambda: world.acknowledged() == everything - victims_of(world))
            process.kill()
        flag.unlink()
        assert world.synqup("catch-up") == 0, world.said()
        world.take()
        assert world.problems() == []


def test_a_check_goes_on_while_a_folder_hangs(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 4, companies=2) as world:
        world.make_folders()
        place = world.folder_of(0, "purchase")
        plan, flag = hanging(world, ("create",), str(place))
        assert world.synqup("check", plan=plan) == 1
        said = world.said()
        assert f"{place} does not answer" in said
        assert said.count("is ready") >= 5
        flag.unlink()
        assert world.synqup("check") == 0, world.said()


def test_a_check_warns_of_folders_that_others_may_write_to(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, 4) as world:
        world.make_folders()
        world.folder_of(0, "purchase").chmod(0o777)
        assert world.synqup("check") == 0, world.said()
        assert "every account may write there (mode 0777)" in world.said()
        world.state.mkdir(parents=True)
        world.state.chmod(0o777)
        assert world.synqup("check") == 1


def test_what_was_set_aside_leaves_the_quarantine_once_it_is_delivered(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 6) as world:
        limit = "[service]\n"
        world.edit(limit, f"{limit}max_document_size = 10\nspool_threshold = 1\n")
        assert world.synqup("catch-up") == 1
        quarantine = world.state / "quarantine"
        assert len(list(quarantine.rglob("*.json"))) == 6
        for document in world.mailbox:
            world.mailbox.set_state(document, type(world.mailbox.state(document))["PENDING"])
        world.edit("max_document_size = 10\nspool_threshold = 1\n", "")
        assert world.synqup("catch-up") == 0, world.said()
        assert [path for path in quarantine.rglob("*") if path.is_file()] == []
        assert world.take() == 6
