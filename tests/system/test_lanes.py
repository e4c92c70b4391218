"""A lane watches its calls: one that hangs holds up its own folder alone, until it returns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from stages.delivery import lanes, mounts
from stages.delivery.lanes import Lane, Lanes
from stages.delivery.watchdog import Call, Hanging, Heartbeat
from tests.helpers.systems import posix_only

pytestmark = pytest.mark.anyio

A, B, C, D = (Path(name) for name in "abcd")


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lane]:
    monkeypatch.setattr(lanes, "TIMEOUT", 0.3)
    one = Lane("/")
    yield one
    one.close()


class Share:
    """Folders that hang until they are let go."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.late: list[object] = []
        self.returned = threading.Event()

    def hang(self, folder: Path) -> Call[str]:
        def do(_: Heartbeat) -> str:
            self.free.wait()
            return f"{folder} at last"

        def late(result: object) -> None:
            self.late.append(result)
            self.returned.set()

        return Call(folder, do, late)


def quick(folder: Path, result: Any = "done") -> Call[Any]:
    def do(_: Heartbeat) -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    return Call(folder, do)


async def test_calls_are_done_in_order_and_a_refusal_is_a_result(lane: Lane) -> None:
    done: list[int] = []

    def do(number: int, _: Heartbeat) -> int:
        done.append(number)
        return number

    denied = PermissionError(13, "denied")
    calls: list[Call[Any]] = [Call(A, partial(do, n)) for n in range(5)]
    assert await lane.each([*calls, quick(B, denied)]) == [*range(5), denied]
    assert done == [*range(5)]
    assert await lane.each([]) == []


async def test_a_bug_ends_the_rest_and_is_raised(lane: Lane) -> None:
    after: list[int] = []
    with pytest.raises(KeyError, match="ours"):
        await lane.each([quick(A, KeyError("ours")), Call(B, lambda _: after.append(1))])
    assert after == []
    assert await lane.each([quick(A)]) == ["done"]


async def test_the_calls_of_other_folders_go_on(lane: Lane) -> None:
    share = Share()
    ends = await lane.each([quick(A), share.hang(B), quick(A), quick(B), quick(C)])
    assert [ends[n] for n in (0, 2, 4)] == ["done"] * 3
    assert isinstance(ends[1], Hanging)
    assert ends[1].started
    # Of the same folder nothing more is begun.
    assert isinstance(ends[3], Hanging)
    assert not ends[3].started
    (again,) = await lane.each([quick(B)])
    assert isinstance(again, Hanging)
    assert "has not answered" in str(again)
    assert again.filename == str(B)
    share.free.set()
    with anyio.fail_after(60):
        while await lane.each([quick(B)]) != ["done"]:
            await anyio.sleep(0.01)
    assert share.late == ["b at last"]


async def test_what_shows_signs_of_life_does_not_hang(lane: Lane) -> None:
    slow = threading.Event()

    def write(heartbeat: Heartbeat) -> str:
        for _ in range(6):
            slow.wait(0.1)
            heartbeat()
        return "written"

    before = lane.signs_of_life
    assert await lane.each([Call(A, write)]) == ["written"]
    # Those who watch over the engine see it too.
    assert lane.signs_of_life > before + 1


async def test_a_question_is_no_sign_that_documents_get_on(lane: Lane) -> None:
    before = lane.signs_of_life
    assert await lane.each([quick(A)], is_question=True) == ["done"]
    assert lane.signs_of_life == before


async def test_after_several_folders_in_a_row_the_volume_hangs(lane: Lane) -> None:
    share = Share()
    calls = [share.hang(folder) for folder in (A, B, C, D)]
    ends = await lane.each(calls)
    assert [isinstance(end, Hanging) and end.started for end in ends] == [True, True, True, False]
    (other,) = await lane.each([quick(Path("e"))])
    assert isinstance(other, Hanging)
    share.free.set()
    with anyio.fail_after(60):
        while await lane.each([quick(Path("e"))]) != ["done"]:
            await anyio.sleep(0.01)


async def test_folders_that_hang_among_others_do_not_condemn_the_volume(lane: Lane) -> None:
    share = Share()
    for folder in (A, B, C, D):
        assert (await lane.each([quick(Path("e")), share.hang(folder)]))[0] == "done"
    assert await lane.each([quick(Path("e"))]) == ["done"]
    share.free.set()


async def test_who_is_cancelled_leaves_the_call_to_its_thread(lane: Lane) -> None:
    share = Share()
    begun: list[int] = []
    with anyio.move_on_after(0.05):
        await lane.each([share.hang(A), Call(A, lambda _: begun.append(1))])
    share.free.set()
    assert await anyio.to_thread.run_sync(share.returned.wait, 60)
    assert await lane.each([quick(A)]) == ["done"]
    assert begun == []


@posix_only("a path says its volume itself")
def test_the_lane_of_a_folder_is_found_by_the_table_of_volumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "MOUNT_INFO", str(table))
    monkeypatch.setattr(mounts.sys, "platform", "linux")

    def mount(*points: str) -> None:
        table.write_text("".join(f"1 2 0:3 / {point} rw - ext4 x rw\n" for point in points))

    found = Lanes()
    mount("/", "/mnt", "/mnt/a\\040share", "/mnt/Caf\\303\\251")
    found.refresh_mounts()
    assert found.of(Path("/mnt/a share/achats")).volume == "/mnt/a share"
    assert found.of(Path("/mnt/Café/achats")).volume == "/mnt/Café"
    assert found.of(Path("/mnt/another")).volume == "/mnt"
    assert found.of(Path("/mntx")).volume == "/"
    assert found.of(Path("/srv/x")) is found.of(Path("/srv/y"))
    assert [found.is_mounted(path) for path in ("/mnt/a share", "/mnt/another")] == [True, False]
    mount("/", "/mnt", "/mnt/another")
    found.refresh_mounts()
    assert found.of(Path("/mnt/another")).volume == "/mnt/another"
    assert found.of(Path("/mnt/a share/achats")).volume == "/mnt"
    assert [found.is_mounted(path) for path in ("/mnt/a share", "/mnt/another")] == [False, True]


#: A service of systemd whose unit lets it write to /srv/books, with a share and a folder of
#: elsewhere mounted below it.
CONFINED = """\
10 1 8:1 / / ro - ext4 /dev/sda1 rw
11 10 8:1 /srv/books /srv/books rw - ext4 /dev/sda1 rw
12 10 8:1 /var/lib/synqup /var/lib/synqup rw - ext4 /dev/sda1 rw
13 11 8:1 /archive /srv/books/old rw - ext4 /dev/sda1 rw
14 11 0:44 / /srv/books/share rw - cifs //nas/books rw
15 14 0:44 /a\\040b /srv/books/share/a\\040b rw - cifs //nas/books rw
"""


def test_a_folder_that_is_mounted_onto_itself_is_no_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(CONFINED)
    monkeypatch.setattr(mounts, "MOUNT_INFO", str(table))
    monkeypatch.setattr(mounts.sys, "platform", "linux")
    found = Lanes()
    found.refresh_mounts()
    points = ("/srv/books", "/var/lib/synqup", "/srv/books/share/a b")
    assert not any(map(found.is_mounted, points))
    assert all(map(found.is_mounted, ("/", "/srv/books/old", "/srv/books/share")))
    assert found.of(Path("/srv/books/x")) is found.of(Path("/var/lib/synqup"))
    assert found.of(Path("/srv/books/share/a b/x")).volume == "/srv/books/share"
    # But no rename works between them.
    assert [found.mount_of(Path(point, "x")) for point in points] == list(points)
    assert found.mount_of(Path("/srv/bookshelf")) == "/"
