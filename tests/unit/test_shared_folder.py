"""A folder that nodes are to share is tried before they rely on it, and nothing is left there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline import shared_folder
from pipeline.folder_lock import folder_lock
from pipeline.shared_folder import problem_of
from tests.helpers.systems import posix_only


def test_a_good_one_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    assert problem_of(tmp_path) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]


def test_one_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "none").startswith("is not there; mount it, or make it once")
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    assert problem_of(tmp_path / "file").startswith("is a file")


def test_one_that_can_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(shared_folder, "replace_file", refuse)
    assert problem_of(tmp_path).startswith("can't be written to (")
    assert not list(tmp_path.iterdir())


def test_one_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def lets_all_in(folder: Path, timeout: float) -> Iterator[None]:
        yield

    monkeypatch.setattr(shared_folder, "folder_lock", lets_all_in)
    assert problem_of(tmp_path).startswith("gives one lock to two at once; mount it with locks")

    @contextmanager
    def has_none(folder: Path, timeout: float) -> Iterator[None]:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        yield

    monkeypatch.setattr(shared_folder, "folder_lock", has_none)
    assert problem_of(tmp_path).startswith("can't be locked (")
    assert not list(tmp_path.iterdir())


def test_a_lock_is_one_and_a_second_taker_is_told_in_time(tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path),
        pytest.raises(TimeoutError),
        folder_lock(tmp_path, 0.0),
    ):
        pass
    with folder_lock(tmp_path, 0.0):
        pass


@posix_only("files have no such mode")
def test_one_that_forgets_who_may_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = shared_folder.replace_file
    monkeypatch.setattr(
        shared_folder, "replace_file", lambda path, source: replace(path, source, 0o644)
    )
    before = os.umask(0o022)
    try:
        assert "does not keep who may read a file" in problem_of(tmp_path)
    finally:
        os.umask(before)
