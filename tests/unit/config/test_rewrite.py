"""Configuration files are written whole or not at all, and nobody's edit is overwritten."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from pipeline.config import rewrite
from pipeline.config.rewrite import editing, write_files
from pipeline.errors import ConfigurationError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_files_are_written_and_existing_ones_replaced(tmp_path: Path) -> None:
    old, new = tmp_path / "a", tmp_path / "deep" / "b"
    old.write_bytes(b"1")
    old.chmod(0o604)
    write_files({new: b"3", old: b"2"}, {old: b"1"})
    assert (old.read_bytes(), new.read_bytes()) == (b"2", b"3")
    if sys.platform != "win32":
        assert stat.S_IMODE(old.stat().st_mode) == 0o604
    assert names(tmp_path) == ["a", "deep"]


@pytest.mark.parametrize("found", [b"somebody's", None])
def test_an_edit_of_somebody_else_is_not_overwritten(tmp_path: Path, found: bytes | None) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    if found is not None:
        path.write_bytes(found)
    with pytest.raises(ConfigurationError, match="changed meanwhile"):
        write_files({other: b"x", path: b"2"}, {path: b"1"})
    assert not other.exists()
    assert path.exists() is (found is not None)


def test_a_file_that_has_appeared_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"somebody's")
    with pytest.raises(ConfigurationError, match="changed meanwhile"):
        write_files({path: b"2"}, {})
    assert path.read_bytes() == b"somebody's"


def test_new_files_go_again_if_one_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="it can't be written"):
        write_files({tmp_path / "a": b"1", tmp_path / "b" / ("x" * 300): b"2"}, {})
    assert "a" not in names(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
def test_a_link_stays_and_leads_to_the_edit(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"1")
    link.symlink_to(real)
    write_files({link: b"2"}, {link: b"1"})
    assert link.is_symlink()
    assert real.read_bytes() == b"2"


@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
def test_one_command_edits_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "LOCK_TIMEOUT", 0.1)
    path = tmp_path / "synqup.toml"
    with (
        editing(path),
        pytest.raises(ConfigurationError, match="another command edits it"),
        editing(path),
    ):
        pass
    with editing(path):
        assert names(tmp_path) == []
