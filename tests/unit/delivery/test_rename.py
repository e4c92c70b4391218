"""A rename never overwrites, and a new folder is there for good."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipeline.durable import make_folder
from stages.delivery import rename
from stages.delivery.staging import Staging
from stages.delivery.volumes import Volumes
from tests.helpers.systems import posix_only


def test_a_free_name_is_given(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    rename.rename_exclusively(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_taken_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        rename.rename_exclusively(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "b").read_bytes() == b"old"


@pytest.mark.parametrize("taken", [False, True])
def test_where_the_file_system_cannot_a_link_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    def unsupported(source: str, target: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(rename, "_rename", unsupported)
    (tmp_path / "a").write_bytes(b"new")
    if taken:
        (tmp_path / "b").write_bytes(b"old")
        with pytest.raises(FileExistsError):
            rename.rename_exclusively(tmp_path / "a", tmp_path / "b")
    else:
        rename.rename_exclusively(tmp_path / "a", tmp_path / "b")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "b").read_bytes() == (b"old" if taken else b"new")


def test_a_missing_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError):
        rename.rename_exclusively(tmp_path / "a", tmp_path / "gone" / "b")


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c", 0o750)
    make_folder(tmp_path / "a" / "b" / "c", 0o750)
    assert (tmp_path / "a" / "b" / "c").is_dir()


@posix_only("files wait in their own folder, whose access rights they inherit")
def test_on_one_volume_files_wait_in_the_state_folder(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "state")
    assert staging.for_folder(tmp_path / "out" / "achats", 0o750) == tmp_path / "state"
    assert (tmp_path / "out" / "achats").is_dir()


@posix_only("files wait in their own folder, whose access rights they inherit")
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second volume: /dev/shm is missing")
def test_on_another_volume_files_wait_there_out_of_sight(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("no second volume: /dev/shm is the same one")
        staging = Staging(tmp_path / "state")
        place = staging.for_folder(Path(other) / "firm" / "achats", 0o750)
        assert place == Path(other) / "firm" / ".synqup"


@posix_only("files wait in their own folder, whose access rights they inherit")
def test_where_no_rename_works_files_wait_beside_their_folder(tmp_path: Path) -> None:
    """Two mounts of one volume, as a unit of systemd or a container has them."""
    mounts = (tmp_path / "books", tmp_path / "state")

    def mount_of(folder: Path) -> Path | None:
        return next((one for one in mounts if folder.is_relative_to(one)), None)

    (tmp_path / "books").mkdir()
    (tmp_path / "link").symlink_to("books")
    staging = Staging(tmp_path / "state" / "staging", mount_of)
    assert staging.for_folder(tmp_path / "books", 0o750) == tmp_path / "books" / ".synqup"
    place = staging.for_folder(tmp_path / "link" / "firm" / "achats", 0o750)
    assert place == tmp_path / "link" / "firm" / ".synqup"
    inside = tmp_path / "state" / "out" / "achats"
    assert staging.for_folder(inside, 0o750) == tmp_path / "state" / "staging"


def test_leftovers_are_cleared_but_for_what_is_unfinished(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "state")
    left, kept = "a" * 64 + "-12", "b" * 64 + "-34"
    for name in (left, f"{left}.pdf", kept, f"{kept}.pdf", "somebody's"):
        (tmp_path / "state" / name).touch()
    staging.keep([kept])
    assert {path.name for path in (tmp_path / "state").iterdir()} == {
        *(kept, f"{kept}.pdf", "somebody's")
    }


def test_nothing_is_written_below_where_a_volume_was(tmp_path: Path) -> None:
    mounted = {"/", str(tmp_path / "mnt")}
    state, folder = tmp_path / "volumes", tmp_path / "mnt" / "firm" / "achats"
    Volumes(state, mounted.__contains__).check(folder)
    assert state.read_text() == f"{tmp_path / 'mnt'}\n"
    mounted.remove(str(tmp_path / "mnt"))
    with pytest.raises(OSError, match="no volume is mounted there any more") as refused:
        Volumes(state, mounted.__contains__).check(folder)
    assert refused.value.filename == str(tmp_path / "mnt")
    Volumes(state, mounted.__contains__).check(tmp_path / "elsewhere")
    mounted.add(str(tmp_path / "mnt"))
    Volumes(state, mounted.__contains__).check(folder)
    state.unlink()
    mounted.remove(str(tmp_path / "mnt"))
    Volumes(state, mounted.__contains__).check(folder)


def test_a_volume_that_another_process_wrote_to_is_known_as_well(tmp_path: Path) -> None:
    mounted = {str(tmp_path / "mnt"), str(tmp_path / "usb")}
    one, other = (Volumes(tmp_path / "volumes", mounted.__contains__) for _ in range(2))
    one.check(tmp_path / "mnt" / "achats")
    other.check(tmp_path / "usb" / "achats")
    mounted.clear()
    for volume in ("mnt", "usb"):
        with pytest.raises(OSError, match="no volume is mounted there any more"):
            one.check(tmp_path / volume / "achats")
        with pytest.raises(OSError, match="no volume is mounted there any more"):
            other.check(tmp_path / volume / "achats")
