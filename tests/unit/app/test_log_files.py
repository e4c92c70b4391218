"""The files of the log are bounded in days and in bytes, and none of their lines is broken."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from pipeline.app import log_file
from pipeline.app.log_file import LogFile
from pipeline.app.log_files import last_line_at, open_log, put_away_files, tidy
from pipeline.config.types import Duration, ServiceSettings, Size

DAY = 86_400

Opened = Callable[..., LogFile]


def settings(*, days: float = 30, size: int = 200_000_000) -> ServiceSettings:
    return ServiceSettings(Path(), keep_log=Duration(days * DAY), max_log_size=Size(size))


@pytest.fixture
def opened() -> Iterator[Opened]:
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(closing(LogFile(*arguments)))


def lines(first: int, count: int, size: int = 0) -> list[bytes]:
    return [f"{number} {'x' * size}\n".encode() for number in range(first, first + count)]


def numbers(folder: Path) -> list[int]:
    found = []
    for path in [*put_away_files(folder), folder / "synqup.log"]:
        with open_log(path) as file:
            found += [int(line.split()[0]) for line in file.read().splitlines()]
    return found


def test_a_new_day_begins_a_new_file_and_the_one_before_is_compressed(
    tmp_path: Path, opened: Opened
) -> None:
    file = opened(tmp_path, settings())
    assert file.write(lines(0, 3)) == 0
    yesterday = time.time() - DAY
    os.utime(tmp_path / "synqup.log", (yesterday, yesterday))
    file.close()
    file.write(lines(3, 2))
    file.tidy()
    (put_away,) = put_away_files(tmp_path)
    assert put_away.suffix == ".gz"
    assert last_line_at(put_away) == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(yesterday))
    assert numbers(tmp_path) == list(range(5))
    assert (tmp_path / "synqup.log").read_bytes() == b"".join(lines(3, 2))


def test_a_day_that_ends_while_the_file_is_open_is_seen(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = opened(tmp_path, settings())
    file.write(lines(0, 2))
    monkeypatch.setattr(log_file, "_today", lambda: int(time.time() // DAY) + 1)
    file.write(lines(2, 1))
    file.write(lines(3, 1))
    assert len(put_away_files(tmp_path)) == 1
    assert numbers(tmp_path) == [0, 1, 2, 3]


def test_all_files_together_stay_below_their_bound_and_the_latest_lines_are_kept(
    tmp_path: Path,
    opened: Opened,
) -> None:
    size = 1_000_000
    file = opened(tmp_path, settings(size=size))
    for number in range(0, 6000, 10):
        noise = os.urandom(500).hex()
        file.write([f"{n} {noise}\n".encode() for n in range(number, number + 10)])
        file.tidy()
        total = sum(path.stat().st_size for path in tmp_path.iterdir())
        assert total <= size
    kept = numbers(tmp_path)
    assert kept[-1] == 5999
    assert kept == list(range(kept[0], 6000))


def test_what_is_too_old_is_removed_and_nothing_else(tmp_path: Path) -> None:
    old = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 9 * DAY))
    young = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 6 * DAY))
    for name in (
        *(f"synqup.log.{old}", f"synqup.log.{young}", f"synqup.log.{old}T12-00-00.gz"),
        *(f"synqup.log.{young}T12-00-00-2", "synqup.log.bak", "other.log", f"{old}.txt"),
    ):
        (tmp_path / name).write_text("1\n")
    (tmp_path / "synqup.log.x.part").write_text("half")
    tidy(tmp_path, keep=7 * DAY, most=1_000_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [
            *(f"synqup.log.{young}.gz", f"synqup.log.{young}T12-00-00-2.gz", "synqup.log.bak"),
            *("other.log", f"{old}.txt"),
        ]
    )


def test_a_crash_within_a_compression_loses_and_doubles_no_line(tmp_path: Path) -> None:
    plain = tmp_path / "synqup.log.2026-11-25T10-00-00"
    plain.write_text("1\n")
    with gzip.open(f"{plain}.gz", "wb") as packed:
        packed.write(b"1\n")
    (tmp_path / "synqup.log").write_text("2\n")
    assert numbers(tmp_path) == [1, 2]
    tidy(tmp_path, keep=10**9, most=10**9)
    assert not plain.exists()
    assert numbers(tmp_path) == [1, 2]


def test_files_of_one_second_keep_their_order(tmp_path: Path, opened: Opened) -> None:
    file = opened(tmp_path, settings(size=8_000_000))
    for number in range(12):
        file.write(lines(number, 1, 990_000))
        os.utime(tmp_path / "synqup.log", (time.time(), 1_800_000_000))
    assert len(put_away_files(tmp_path)) == 11
    assert numbers(tmp_path) == list(range(12))


def test_a_line_that_was_broken_off_ends_before_the_next(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "synqup.log").write_bytes(b"1 half a li")
    opened(tmp_path, settings()).write(lines(2, 1))
    assert (tmp_path / "synqup.log").read_bytes() == b"1 half a li\n2 \n"


def test_a_day_that_cannot_be_put_away_is_gone_on_with(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = opened(tmp_path, settings())
    file.write(lines(0, 1))
    yesterday = time.time() - DAY
    os.utime(tmp_path / "synqup.log", (yesterday, yesterday))
    file.close()

    def denied(*_: object) -> None:
        raise PermissionError(13, "denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", denied)
        assert file.write(lines(1, 1)) == 0
        assert file.write(lines(2, 1)) == 0
    assert (tmp_path / "synqup.log").read_bytes() == b"".join(lines(0, 3))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_lines_that_could_not_be_written_are_counted(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "synqup.log").symlink_to("/dev/full")
    assert opened(tmp_path, settings()).write(lines(0, 5)) == 5
